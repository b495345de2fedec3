//! What is taken and what is refused.

use super::*;

const NOTHING: &dyn Fn(&str) -> Option<String> = &|_| None;
const KEYS: [&str; 2] = [
    "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg",
];

fn from_file(text: &str) -> Result<Config> {
    Config::parse(
        None,
        NOTHING,
        Some((Path::new("/etc/backupd/config"), text)),
    )
}

fn refusal(text: &str) -> String {
    let error = from_file(text).unwrap_err();
    assert_eq!(error.code(), Code::Invalid, "{error}");
    error.to_string()
}

#[test]
fn nothing_configured_is_a_node_that_listens() {
    let config = Config::parse(None, NOTHING, None).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.mode, None);
    assert_eq!(config.host.to_string(), "0.0.0.0");
    assert_eq!(
        (config.port, config.max_io, config.max_network),
        (8000, 2, 2)
    );
    assert_eq!(config.max_bandwidth_mbps, 0);
}

#[test]
fn the_command_line_beats_the_environment_beats_the_file() {
    let environment = |name: &str| match name {
        "BACKUPD_PORT" => Some("9000".to_owned()),
        "BACKUPD_MODE" => Some("master".to_owned()),
        _ => None,
    };
    let file = Some((
        Path::new("/c"),
        "port = 7000\nmax_io = 3\nmax_bandwidth_mbps = 80",
    ));
    let config = Config::parse(Some("node"), &environment, file).unwrap();
    assert_eq!(config.mode, Some(Mode::Node));
    assert_eq!((config.port, config.max_io), (9000, 3));
    assert_eq!(config.max_bandwidth_mbps, 80);
    assert!(Config::parse(None, &environment, file).is_err());
}

#[test]
fn a_wrong_value_is_refused_with_name_value_and_what_is_allowed() {
    for (name, value) in [
        ("BACKUPD_PORT", "65536"),
        ("BACKUPD_PORT", "http"),
        ("BACKUPD_HOST", "localhost"),
        ("BACKUPD_MAX_IO", "0"),
        ("BACKUPD_MAX_NETWORK", "-1"),
        ("BACKUPD_MAX_CPU", "65"),
        ("BACKUPD_MAX_BANDWIDTH_MBPS", "1.5"),
        ("BACKUPD_DATA_DIR", "data"),
        ("BACKUPD_MODE", "hub"),
    ] {
        let environment = |asked: &str| (asked == name).then(|| value.to_owned());
        let error = Config::parse(None, &environment, None).unwrap_err();
        assert_eq!(error.code(), Code::Invalid);
        let said = error.to_string();
        assert!(said.contains(name), "{said}");
        assert!(said.contains(&format!("{value:?}")), "{said}");
        assert!(said.contains("allowed is"), "{said}");
    }
    let said = refusal("port = 70000");
    assert_eq!(
        said,
        "port in /etc/backupd/config is \"70000\"; allowed is a whole number from 0 to 65535"
    );
}

#[test]
fn a_mistyped_key_is_refused_and_the_right_ones_named() {
    let said = refusal("prot = 8000");
    assert!(said.contains("\"prot\"") && said.contains("port"), "{said}");
    assert!(refusal("port = ").contains("/etc/backupd/config"));
    assert!(refusal("[[source]]\nname='a'\npath='/a'\nprovider=['x']").contains("provider"));
    assert!(
        refusal("[[provider]]\nname='a'\ntype='local'\npath='/a'\nbucket='b'").contains("bucket")
    );
}

#[test]
fn a_server_by_hand() {
    let text = format!(
        r#"
        recipients = ["{}", "{}"]
        [[provider]]
        name = "b2"
        type = "s3"
        endpoint = "https://s3.eu-central-003.backblazeb2.com"
        region = "eu-central-003"
        bucket = "backups"
        credentials_file = "/etc/backupd/b2.toml"
        [[source]]
        name = "shop"
        path = "/var/www/shop"
        providers = ["b2", "This server"]
        [[source]]
        name = "blog"
        path = "/var/www/blog"
        "#,
        KEYS[0], KEYS[1]
    );
    let config = from_file(&text).unwrap();
    assert_eq!(config.sources[0].module, "wordpress");
    assert_eq!(config.sources[1].providers, ["This server"]);
    assert!(matches!(
        &config.providers[0].place,
        ProviderPlace::S3 { prefix, path_style: false, .. } if prefix.is_empty()
    ));
}

#[test]
fn sources_and_stores_must_fit_together() {
    let two = format!("recipients = [{:?}, {:?}]\n", KEYS[0], KEYS[1]);
    let one = format!("recipients = [{:?}]\n", KEYS[0]);
    let twice = format!("recipients = [{:?}, {:?}]\n", KEYS[0], KEYS[0]);
    let shop = "[[source]]\nname='shop'\npath='/var/www/shop'\n";
    from_file(&format!("{two}{shop}")).unwrap();
    assert!(refusal(shop).contains("two or more"));
    assert!(refusal(&format!("{one}{shop}")).contains("two or more"));
    assert!(refusal(&format!("{twice}{shop}")).contains("two or more"));
    assert!(refusal(&format!("{two}{shop}{shop}")).contains("\"shop\""));
    assert!(refusal(&format!("{two}{shop}providers=['b2']")).contains("\"b2\""));
    assert!(refusal(&format!("{two}{shop}providers=[]")).contains("empty"));
    assert!(refusal("recipients = ['age1nonsense']").contains("age1nonsense"));
    let local = "[[provider]]\nname='x'\ntype='local'\npath='relative'";
    assert!(refusal(local).contains("absolute"));
    let taken = "[[provider]]\nname='This server'\ntype='local'\npath='/x'";
    assert!(refusal(taken).contains("This server"));
}

#[test]
fn a_source_may_have_a_schedule() {
    let two = format!("recipients = [{:?}, {:?}]\n", KEYS[0], KEYS[1]);
    let shop = |schedule: &str| {
        format!("{two}[[source]]\nname='shop'\npath='/var/www/shop'\nschedule={schedule}")
    };
    let nightly = "{ rule = { type = 'daily', at = '03:00' }, time_zone = 'Europe/Berlin' }";
    let config = from_file(&shop(nightly)).unwrap();
    let schedule = config.sources[0].schedule.as_ref().unwrap();
    assert_eq!(schedule.time_zone, "Europe/Berlin");
    for (wrong, named) in [
        ("{ rule = { type = 'daily', at = '3 am' } }", "\"3 am\""),
        (
            "{ rule = { type = 'monthly', day = 32, at = '03:00' } }",
            "32",
        ),
        (
            "{ rule = { type = 'cron', expression = '0 3 30 2 *' } }",
            "no date",
        ),
        (
            "{ rule = { type = 'daily', at = '03:00' }, time_zone = 'Berlin' }",
            "\"Berlin\"",
        ),
    ] {
        let said = refusal(&shop(wrong));
        assert!(said.contains("\"shop\"") && said.contains(named), "{said}");
        assert!(said.contains("allowed"), "{said}");
    }
    let said = refusal(&shop("{ rule = { type = 'hourly' } }"));
    assert!(said.contains("hourly") && said.contains("daily"), "{said}");
}

#[test]
fn the_example_is_a_configuration_with_and_without_its_comments() {
    let example = include_str!("../../../packaging/config.example");
    from_file(example).unwrap();
    let uncommented: String = example
        .lines()
        .map(|line| {
            line.strip_prefix('#')
                .filter(|l| !l.starts_with(' '))
                .unwrap_or(line)
        })
        .filter(|line| !line.starts_with("    \"age1…"))
        .map(|line| match line {
            "recipients = [" => format!("recipients = [{:?}, {:?},\n", KEYS[0], KEYS[1]),
            line => format!("{line}\n"),
        })
        .collect();
    let config = from_file(&uncommented).unwrap();
    assert!(config.sources[0].schedule.is_some());
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let environment = |name: &str| (name == "BACKUPD_CONFIG").then(|| "/nonexistent/c".to_owned());
    let error = Config::from_environment(None, &environment).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/c"), "{error}");
}
