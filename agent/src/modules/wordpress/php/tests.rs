//! What a configuration file says, statement by statement, without running it.

use super::{Definitions, Value};

fn read(text: &str) -> Definitions {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.php");
    std::fs::write(&path, text).unwrap();
    Definitions::read(&path, &[]).unwrap()
}

/// The text of constant `V`, or why it is not known.
fn v(text: &str) -> Result<String, String> {
    let found = read(&format!("<?php\n{text}"));
    let value = found.constant("V").cloned().unwrap_or(Value::Null);
    value.text().ok_or_else(|| value.why_unknown().unwrap())
}

#[test]
fn values_that_stand_in_the_file() {
    for (php, want) in [
        (r"define('V', 'it\'s \\ \n');", r"it's \ \n"),
        (r#"define("V", "tab\t\x41\$x \q");"#, "tab\tA$x \\q"),
        (r"const V = 'c';", "c"),
        (r"define( 'V', 5 );", "5"),
        (r"DEFINE('V', 'a' . 'b' . 1);", "ab1"),
        (
            r#"$h = 'db'; define('V', "$h.internal:{$h}");"#,
            "db.internal:db",
        ),
        ("define('V', <<<'X'\nraw $x\nX);", "raw $x"),
        (r"define('A', 'x'); define('V', A . '/y');", "x/y"),
        (r"define('V', 'first'); define('V', 'second');", "first"),
        (r"defined('V') || define('V', 'x');", "x"),
        (r"if (!defined('V')) { define('V', 'x'); }", "x"),
        (r"define('V', 'a'); defined('V') or define('V', 'b');", "a"),
        (r"@\define('V', dirname('/a/b/c', 2));", "/a"),
        (
            r"if (false): define('V', 1); else: define('V', 2); endif;",
            "2",
        ),
    ] {
        assert_eq!(v(php).as_deref(), Ok(want), "{php}");
    }
}

#[test]
fn an_environment_variable_counts_as_its_default() {
    for php in [
        "define('V', getenv('X') ?: 'd');",
        "define('V', $_ENV['X'] ?? 'd');",
        "define('V', isset($_SERVER['X']) ? $_SERVER['X'] : 'd');",
        "define('V', getenv_docker('X', 'd'));",
        "$x = getenv('X'); define('V', empty($x) ? 'd' : $x);",
    ] {
        assert_eq!(v(php).as_deref(), Ok("d"), "{php}");
    }
    assert_eq!(
        v("define('V', getenv('SECRET'));"),
        Err("the environment variable SECRET".to_owned())
    );
}

#[test]
fn what_is_decided_at_run_time_is_never_guessed() {
    for php in [
        "if ($_GET['x'] == rand()) { define('V', 'a'); } else { define('V', 'b'); }",
        "define('V', decrypt('abc'));",
        "foreach ([1] as $x) { define('V', 'a'); }",
        "switch (rand()) { case 1: define('V', 'a'); break; default: define('V', 'b'); }",
        "rand() && define('V', 'a');",
    ] {
        assert!(v(php).is_err(), "{php}");
    }
    // What stands in a comment, a string or a function that is not called is not defined.
    for php in [
        "// define('V', 'a');\n/* define('V', 'b'); */",
        "$x = \"define('V', 'a');\";",
        "function f() { define('V', 'a'); }",
    ] {
        assert_eq!(v(php).as_deref(), Ok(""), "{php}");
    }
}

#[test]
fn included_files_of_the_same_user_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own.php");
    std::fs::write(&own, "<?php define('V', 'own');").unwrap();
    let main = folder.path().join("main.php");
    std::fs::write(&main, "<?php require_once __DIR__ . '/own.php';").unwrap();
    let read = |path| {
        Definitions::read(path, &[])
            .unwrap()
            .constant("V")
            .is_some()
    };
    assert!(read(&main));

    // Another user's file is not read, neither by an include nor through a link.
    std::os::unix::fs::chown(&own, Some(65534), None).unwrap();
    assert!(!read(&main));
    let link = folder.path().join("link.php");
    std::os::unix::fs::symlink(&own, &link).unwrap();
    assert!(Definitions::read(&link, &[]).is_err());
}

#[test]
fn hostile_nesting_ends() {
    let deep = "(".repeat(50_000);
    let _ = read(&format!("<?php define('V', {deep}1);"));
    let blocks = "if (1) {".repeat(20_000);
    let _ = read(&format!("<?php {blocks}"));
    let own = "<?php require __FILE__; require __DIR__ . '/c.php';";
    let _ = read(own);
}

#[test]
fn the_place_that_is_not_php_is_told() {
    let found = read("<?php\ndefine('A', 'x');\ndefine('V', 'unclosed;\n");
    assert!(found.syntax_error().is_some());
    assert!(read("<?php define('A', 1);").syntax_error().is_none());
}
