//! Both sides against each other, and against whoever is in between.

use backupd_base::{Code, NodeId, TenantId};

use super::*;
use crate::{PROTOCOL_VERSION, tls::Pin};

fn code(text: &str) -> PairingCode {
    text.parse().unwrap()
}

fn binding() -> Binding {
    Binding {
        master: Pin::from([1; 32]),
        node: Pin::from([2; 32]),
        exporter: [3; 32],
    }
}

fn enrolment() -> Enrolment {
    Enrolment {
        node_id: NodeId::new(),
        tenant_id: TenantId::new(),
        recipients: vec!["age1tenant".into(), "age1recovery".into()],
        api_key: ApiKey::generate(),
    }
}

fn hello(node_id: &NodeId) -> NodeHello {
    NodeHello {
        node_id: node_id.clone(),
        hostname: "web-1".into(),
        os: "Debian GNU/Linux 12".into(),
        version: "0.1.0".into(),
        signing_key: "ed25519:AAAA".into(),
        seal_recipient: "age1node".into(),
    }
}

/// Runs the exchange with what each side saw, as far as it goes.
fn run(
    typed: &str,
    shown: &str,
    masters: &Binding,
    nodes: &Binding,
) -> backupd_base::Result<(Enrolment, Enrolment, NodeHello)> {
    let sent = enrolment();
    let window = NodeWindow::new(code(shown));
    let (master, start) = MasterExchange::start(&code(typed))?;
    let (node, answer) = window.answer(*nodes, &start)?;
    let (awaited, finish) = master.finish(masters, &answer, &sent)?;
    let (proven, got) = node.finish(nodes, &finish)?;
    let told = awaited.open(&proven.seal(&hello(&got.node_id)))?;
    Ok((sent, got, told))
}

#[test]
fn the_right_code_carries_the_enrolment_over_and_the_hello_back() {
    let (sent, got, told) = run("xc9d2", "XC9D2", &binding(), &binding()).unwrap();
    assert_eq!(got.node_id, sent.node_id);
    assert_eq!(got.tenant_id, sent.tenant_id);
    assert_eq!(got.recipients, sent.recipients);
    assert_eq!(got.api_key.reveal(), sent.api_key.reveal());
    assert_eq!(told, hello(&sent.node_id));
}

#[test]
fn a_wrong_code_stops_the_master_before_it_seals_anything() {
    let error = run("XC9D3", "XC9D2", &binding(), &binding()).unwrap_err();
    assert_eq!(error.code(), Code::CodeRejected);
}

#[test]
fn any_difference_in_what_the_two_sides_saw_stops_it() {
    let seen = binding();
    let differing = [
        Binding {
            master: Pin::from([9; 32]),
            ..seen
        },
        Binding {
            node: Pin::from([9; 32]),
            ..seen
        },
        Binding {
            exporter: [9; 32],
            ..seen
        },
    ];
    for nodes in differing {
        let error = run("XC9D2", "XC9D2", &seen, &nodes).unwrap_err();
        assert_eq!(error.to_string(), refusal().to_string(), "{nodes:?}");
    }
}

#[test]
fn an_answer_from_another_window_is_worth_nothing() {
    let (master, start) = MasterExchange::start(&code("XC9D2")).unwrap();
    let window = NodeWindow::new(code("XC9D2"));
    let (_, mut answer) = window.answer(binding(), &start).unwrap();
    answer.window_id = NodeWindow::new(code("XC9D2")).id().to_owned();
    assert!(master.finish(&binding(), &answer, &enrolment()).is_err());
}

#[test]
fn the_node_refuses_a_proof_that_was_touched_or_moved_all_in_the_same_words() {
    let attempt = |break_it: &dyn Fn(&mut FinishRequest), on: &Binding| {
        let window = NodeWindow::new(code("XC9D2"));
        let (master, start) = MasterExchange::start(&code("XC9D2")).unwrap();
        let (node, answer) = window.answer(binding(), &start).unwrap();
        let (_, mut finish) = master.finish(&binding(), &answer, &enrolment()).unwrap();
        break_it(&mut finish);
        node.finish(on, &finish).map(|_| ())
    };
    attempt(&|_| {}, &binding()).unwrap();
    let elsewhere = Binding {
        exporter: [4; 32],
        ..binding()
    };
    let refused = [
        attempt(&|f| f.ke3[0] ^= 1, &binding()),
        attempt(&|f| f.ke3.truncate(10), &binding()),
        attempt(&|f| f.enrolment[0] ^= 1, &binding()),
        attempt(&|f| f.enrolment.clear(), &binding()),
        attempt(&|_| {}, &elsewhere),
    ];
    for result in refused {
        let error = result.unwrap_err();
        assert_eq!(error.code(), refusal().code());
        assert_eq!(error.to_string(), refusal().to_string());
    }
}

#[test]
fn another_version_is_told_as_such() {
    let (_, mut start) = MasterExchange::start(&code("XC9D2")).unwrap();
    start.check().unwrap();
    start.protocol = PROTOCOL_VERSION + 1;
    assert_eq!(start.check().unwrap_err().code(), Code::Incompatible);
}

#[test]
fn the_hello_must_be_for_the_node_that_was_enrolled() {
    let window = NodeWindow::new(code("XC9D2"));
    let (master, start) = MasterExchange::start(&code("XC9D2")).unwrap();
    let (node, answer) = window.answer(binding(), &start).unwrap();
    let (awaited, finish) = master.finish(&binding(), &answer, &enrolment()).unwrap();
    let (proven, _) = node.finish(&binding(), &finish).unwrap();
    let answer = proven.seal(&hello(&NodeId::new()));
    assert!(awaited.open(&answer).is_err());
}

#[test]
fn nothing_that_travels_holds_the_code_or_the_key_in_the_clear() {
    let sent = enrolment();
    let window = NodeWindow::new(code("XC9D2"));
    let (master, start) = MasterExchange::start(&code("XC9D2")).unwrap();
    let (_, answer) = window.answer(binding(), &start).unwrap();
    let (_, finish) = master.finish(&binding(), &answer, &sent).unwrap();
    let mut wire = [start.ke1, answer.ke2, finish.ke3, finish.enrolment].concat();
    wire.extend(answer.window_id.bytes());
    let holds = |needle: &[u8]| wire.windows(needle.len()).any(|w| w == needle);
    assert!(!holds(b"XC9D2"));
    assert!(!holds(sent.api_key.reveal().as_bytes()));
    let debug = format!("{sent:?}");
    assert!(!debug.contains(sent.api_key.reveal()));
}
