//! What a script that got into the page could do: nothing but what the page's buttons do.

use backupd_testkit::desktop::{App, Appearance, DesktopSession};
use serde_json::Value;

use crate::BINARY;

/// Commands of Tauri and its plugins that a page often may, and this one may not.
const OTHERS: &str = "
    const [done] = arguments;
    const wanted = [
        'plugin:dialog|open', 'plugin:dialog|save', 'plugin:dialog|message',
        'plugin:event|emit', 'plugin:webview|create_webview_window',
        'plugin:window|create', 'plugin:window|destroy', 'plugin:window|set_title',
        'plugin:path|resolve_directory', 'plugin:app|version', 'plugin:tray|new',
        'plugin:fs|read_text_file', 'plugin:shell|execute', 'plugin:opener|open_url',
    ];
    const call = async (name) => {
        try { await window.__TAURI_INTERNALS__.invoke(name, {}); return name; }
        catch (refused) {
            return /not allowed|not found/.test(String(refused)) ? null : `${name}: ${refused}`;
        }
    };
    Promise.all(wanted.map(call)).then((all) => done(all.filter(Boolean)));
";

/// Ways in which injected HTML would run or send something.
const INJECTED: &str = "
    const [done] = arguments;
    window.ran = [];
    const refused = new Set();
    document.addEventListener('securitypolicyviolation', (event) => {
        refused.add(event.effectiveDirective);
        if (refused.size === 6) done([window.ran, [...refused].sort()]);
    });
    const host = document.body.appendChild(document.createElement('div'));
    host.innerHTML = `<img src='https://198.51.100.1/x.png' onerror='ran.push(1)'>
        <iframe src='https://198.51.100.1/'></iframe>`;
    const script = document.createElement('script');
    script.textContent = 'ran.push(2)';
    host.append(script);
    try { new Function('ran.push(3)')(); } catch { /* as it must be */ }
    fetch('https://198.51.100.1/').catch(() => {});
    const img = new Image();
    img.setAttribute('onerror', 'ran.push(4)');
    img.src = 'data:image/png;base64,x';
    host.append(img);
";

/// A landed folder is opened, and nothing else.
const OPEN: &str = "
    const [done] = arguments;
    window.__TAURI_INTERNALS__.invoke('folder_open', { path: '/etc' })
        .then(() => done('opened'), (refused) => done(refused.code));
";

async fn run(app: &App<'_>, script: &str) -> Value {
    let ran = app.page().execute_async(script, Vec::new()).await.unwrap();
    ran.json().clone()
}

#[tokio::test]
async fn a_script_in_the_page_has_nothing_to_take() {
    let session = DesktopSession::start(Appearance::Light);
    let app = App::start(&session, BINARY.as_ref()).await;
    app.find("setup-tenant").await;

    assert_eq!(run(&app, OTHERS).await, serde_json::json!([]));
    assert_eq!(run(&app, OPEN).await, "denied");
    let refused = serde_json::json!([
        [],
        [
            "connect-src",
            "frame-src",
            "img-src",
            "script-src",
            "script-src-attr",
            "script-src-elem"
        ]
    ]);
    assert_eq!(run(&app, INJECTED).await, refused);

    let left = app
        .page()
        .execute("location.href = 'https://198.51.100.1/'", vec![]);
    left.await.unwrap();
    app.find("setup-tenant").await;
    app.quit().await;
}
