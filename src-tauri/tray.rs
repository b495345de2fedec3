//! The tray icon: the verdict over all sources as a shape, the window, and the way out.

use backupd_master::view::{NodeState, OverviewView, Protection};
use tauri::{
    App, AppHandle, Manager as _, Wry,
    image::Image,
    include_image,
    menu::{Menu, MenuItem, PredefinedMenuItem},
    tray::{MouseButton, TrayIcon, TrayIconBuilder, TrayIconEvent},
};

use crate::{core::Core, window};

const SHOW: &str = "show";
const QUIT: &str = "quit";

/// The worst that is known of any source or node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Calm,
    Attention,
    Failed,
}

impl Verdict {
    fn of(overview: &OverviewView) -> Self {
        let sources = overview
            .sources
            .iter()
            .map(|s| Self::of_source(s.protection));
        let nodes = overview.nodes.iter().map(|n| Self::of_node(n.state));
        sources.chain(nodes).max().unwrap_or(Self::Calm)
    }

    fn of_source(protection: Protection) -> Self {
        match protection {
            Protection::Failed => Self::Failed,
            Protection::Attention => Self::Attention,
            Protection::Protected | Protection::Waiting => Self::Calm,
        }
    }

    fn of_node(state: NodeState) -> Self {
        match state {
            NodeState::Refused => Self::Failed,
            NodeState::Offline => Self::Attention,
            NodeState::Online | NodeState::Connecting => Self::Calm,
        }
    }

    fn icon(self) -> Image<'static> {
        match self {
            Self::Calm => include_image!("icons/tray.png"),
            Self::Attention => include_image!("icons/tray-attention.png"),
            Self::Failed => include_image!("icons/tray-failed.png"),
        }
    }
}

/// How the sources are, in the words of the overview.
fn sentence(sources: &[Protection]) -> String {
    let count = |wanted: &[Protection]| sources.iter().filter(|p| wanted.contains(p)).count();
    let all = sources.len();
    let troubled = count(&[Protection::Attention, Protection::Failed]);
    let waiting = count(&[Protection::Waiting]);
    match (all, troubled, waiting) {
        (0, ..) => "Nothing is protected yet".into(),
        (1, 0, 0) => "Your source is protected".into(),
        (_, 0, 0) => format!("All {all} sources are protected"),
        (_, 0, 1) => "1 source is waiting for its first backup".into(),
        (_, 0, _) => format!("{waiting} sources wait for their first backup"),
        (1, ..) => "Your source needs you".into(),
        (_, 1, _) => format!("1 of {all} sources needs you"),
        _ => format!("{troubled} of {all} sources need you"),
    }
}

/// What [`refresh`] changes.
struct Tray {
    icon: TrayIcon,
    verdict: MenuItem<Wry>,
}

/// Adds the icon.
///
/// # Errors
/// When the system refuses it.
pub fn add(app: &App) -> tauri::Result<()> {
    let verdict = MenuItem::new(app, sentence(&[]), false, None::<&str>)?;
    let menu = Menu::with_items(
        app,
        &[
            &verdict,
            &PredefinedMenuItem::separator(app)?,
            &MenuItem::with_id(app, SHOW, "Open Backupd", true, None::<&str>)?,
            &MenuItem::with_id(app, QUIT, "Quit", true, None::<&str>)?,
        ],
    )?;
    let icon = TrayIconBuilder::with_id("verdict")
        .icon(Verdict::Calm.icon())
        .icon_as_template(true)
        .tooltip("Backupd")
        .menu(&menu)
        .show_menu_on_left_click(cfg!(target_os = "macos"))
        .on_menu_event(|app, event| match event.id().as_ref() {
            SHOW => window::show(app),
            QUIT => app.exit(0),
            _ => {}
        })
        .on_tray_icon_event(|icon, event| {
            if let TrayIconEvent::DoubleClick {
                button: MouseButton::Left,
                ..
            } = event
            {
                window::show(icon.app_handle());
            }
        })
        .build(app)?;
    app.manage(Tray { icon, verdict });
    Ok(())
}

/// Shows the verdict as it is now.
pub async fn refresh(app: &AppHandle) {
    let overview = match app.state::<Core>().master().await {
        Ok(master) => master.overview_get().await,
        Err(error) => Err(error),
    };
    let Ok(overview) = overview.inspect_err(|error| tracing::warn!("tray: {error}")) else {
        return;
    };
    let tray = app.state::<Tray>();
    let protections: Vec<_> = overview.sources.iter().map(|s| s.protection).collect();
    let text = sentence(&protections);
    let shown = tray
        .icon
        .set_icon_with_as_template(Some(Verdict::of(&overview).icon()), true)
        .and_then(|()| tray.icon.set_tooltip(Some(format!("Backupd: {text}"))))
        .and_then(|()| tray.verdict.set_text(text));
    if let Err(error) = shown {
        tracing::warn!("show the verdict in the tray: {error}");
    }
}

/// Whether somebody can see the icon and click it.
#[cfg(target_os = "linux")]
pub async fn is_visible() -> bool {
    // Desktops without a tray have nobody who owns this name or hosts the icons.
    let hosted = async {
        let bus = zbus::Connection::session().await?;
        let watcher = zbus::Proxy::new(
            &bus,
            "org.kde.StatusNotifierWatcher",
            "/StatusNotifierWatcher",
            "org.kde.StatusNotifierWatcher",
        )
        .await?;
        watcher
            .get_property::<bool>("IsStatusNotifierHostRegistered")
            .await
    };
    hosted.await.unwrap_or(false)
}

/// Whether somebody can see the icon and click it.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unused_async)]
pub async fn is_visible() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use Protection::{Attention, Failed, Protected, Waiting};

    use super::*;

    #[test]
    fn the_worst_gives_the_verdict() {
        let worst = [Protected, Failed, Attention, Waiting]
            .map(Verdict::of_source)
            .into_iter()
            .max();
        assert_eq!(worst, Some(Verdict::Failed));
        assert_eq!(Verdict::of_source(Waiting), Verdict::Calm);
        assert_eq!(Verdict::of_node(NodeState::Offline), Verdict::Attention);
        assert_eq!(Verdict::of_node(NodeState::Refused), Verdict::Failed);
        assert_eq!(Verdict::of_node(NodeState::Connecting), Verdict::Calm);
    }

    #[test]
    fn the_sentence_counts_what_needs_somebody() {
        for (sources, said) in [
            (&[][..], "Nothing is protected yet"),
            (&[Protected], "Your source is protected"),
            (&[Protected, Protected], "All 2 sources are protected"),
            (
                &[Protected, Waiting],
                "1 source is waiting for its first backup",
            ),
            (&[Failed, Waiting, Protected], "1 of 3 sources needs you"),
            (&[Failed, Attention], "2 of 2 sources need you"),
            (&[Failed], "Your source needs you"),
        ] {
            assert_eq!(sentence(sources), said);
        }
    }
}
