//! The proxy breaks what it is told to and nothing else.

use backupd_testkit::{
    Proxy, http,
    proxy::{Fault, Request},
    wordpress,
};

fn page(request: &Request) -> bool {
    request.target == "/page.txt"
}

#[test]
fn chosen_requests_break_and_the_others_pass() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("page.txt"), "0123456789").unwrap();
    std::fs::write(folder.path().join("readme.html"), "here").unwrap();
    let server = wordpress::serve(folder.path(), backupd_testkit::free_port());
    let proxy = Proxy::start(server.port());
    let port = proxy
        .endpoint()
        .rsplit_once(':')
        .unwrap()
        .1
        .parse()
        .unwrap();

    assert_eq!(http::get(port, "/page.txt").unwrap().body, "0123456789");
    proxy.fail(1, page, Fault::Answer(503, "busy".into()));
    assert_eq!(http::get(port, "/readme.html").unwrap().body, "here");
    let answer = http::get(port, "/page.txt").unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (503, "busy"));
    assert_eq!(http::get(port, "/page.txt").unwrap().status, 200);

    proxy.fail(1, page, Fault::LoseAnswer);
    assert!(http::get(port, "/page.txt").is_err());
    proxy.fail(1, page, Fault::CutAnswer(20));
    assert!(http::get(port, "/page.txt").unwrap().body.is_empty());
    assert_eq!(proxy.seen().iter().filter(|r| page(r)).count(), 5);
}
