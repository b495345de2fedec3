//! Each part started, used, and gone afterwards.

use std::{fs, net::TcpStream, path::Path, process::Command, time::Duration};

use backupd_testkit::{MariaDb, SeaweedFs, WordPress, http, poll_until, spawn};

#[test]
fn seaweedfs_is_ready_when_started_and_gone_when_dropped() {
    let server = SeaweedFs::start();
    let (port, id) = (server.port(), server.process_id());
    let answer = http::get(port, "/backups/none").unwrap();
    assert_eq!(answer.status, 403, "nothing is open to everybody");
    server.create_bucket("more");
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!Path::new(&format!("/proc/{id}")).exists());
}

#[test]
fn a_database_belongs_to_its_user_only() {
    let server = MariaDb::start();
    let (mine, other) = (server.create_database("a"), server.create_database("b"));
    server.execute(&format!("CREATE TABLE `{}`.t (x TEXT)", other.name));
    let folder = tempfile::tempdir().unwrap();
    let ask = |password: &str, sql: &str| {
        let file = folder.path().join("my.cnf");
        let socket = mine.socket.display();
        let text = format!(
            "[client]\nuser={}\npassword={password}\nsocket={socket}\n\
             default-character-set=utf8mb4\n",
            mine.user
        );
        fs::write(&file, text).unwrap();
        let mut client = Command::new("mariadb");
        client.arg(format!("--defaults-file={}", file.display()));
        let output = client.args([&mine.name, "-e", sql]).output().unwrap();
        // Seen when the test fails.
        println!("{}", String::from_utf8_lossy(&output.stderr));
        output.status.success()
    };
    assert!(ask(
        &mine.password,
        "CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('🎉')"
    ));
    assert!(!ask("wrong", "SELECT 1"));
    assert!(!ask(
        &mine.password,
        &format!("SELECT * FROM `{}`.t", other.name)
    ));
    assert_eq!(server.query_in(&mine.name, "SELECT x FROM t"), "🎉\n");
}

#[test]
fn wordpress_is_real() {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    site.fill(30, 2, 2, 1);
    let name = &site.database().name;
    let count = |sql: &str| server.query_in(name, sql).trim().parse::<u32>().unwrap();
    assert!(count("SELECT COUNT(*) FROM wp_posts WHERE post_status = 'publish'") >= 30);
    assert!(count("SELECT COUNT(*) FROM wp_postmeta") >= 120);
    let documents = site.root().join("wp-content/uploads/2019/01");
    assert!(fs::read_dir(documents).unwrap().count() >= 4);
    let serving = site.serve();
    let page = serving.page("/");
    assert!(page.contains(WordPress::TITLE), "{page}");
}

#[test]
fn children_die_with_the_process_that_started_them() {
    // This very test binary, run as a process of its own that starts a child and waits.
    if let Ok(file) = std::env::var("TESTKIT_CHILD_ID") {
        let mut sleep = Command::new("sleep");
        sleep.arg("600");
        let child = spawn(sleep);
        fs::write(&file, child.id().to_string()).unwrap();
        loop {
            std::thread::park();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("id");
    let mut parent = Command::new(std::env::current_exe().unwrap());
    parent.args([
        "--exact",
        "parts::children_die_with_the_process_that_started_them",
    ]);
    parent.env("TESTKIT_CHILD_ID", &file);
    let parent = spawn(parent);
    let within = Duration::from_secs(30);
    let id = poll_until(within, "child", || {
        fs::read_to_string(&file).ok()?.parse::<u32>().ok()
    });
    let alive = || {
        let stat = fs::read_to_string(format!("/proc/{id}/stat"));
        // A zombie that nobody has reaped yet is dead.
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    assert!(alive());
    parent.kill();
    poll_until(within, "end of the child", || (!alive()).then_some(()));
}
