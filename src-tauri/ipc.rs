//! The commands: one thin function each, named `noun_verb` here, on the wire, in the generated
//! bindings and in the master. Answers are views, errors are [`ErrorView`]s; neither holds a secret.

use std::path::PathBuf;

use backupd_base::{Code, Context as _, Error, JobId, NodeId, ProviderId, SnapshotId, SourceId};
use backupd_master::view::{
    CredentialsInput, ErrorView, FileEntry, FoundSite, Job, NodeJob, NodeView, OverviewView,
    ProviderKind, ProviderTest, ProviderView, Rebuilt, Reconciliation, RecoveryKeyInput, Resources,
    RestoreStarted, Retention, RetentionPreview, Schedule, SchedulePreview, SetupStatus,
    SnapshotView, SourceView, StatsHistory, StatsRange, TaskView, TenantView,
};
use tauri::{AppHandle, State, Wry};
use tauri_specta::{Builder, collect_commands, collect_events};

use crate::{core, dialogs, events::FromMaster};

type Answer<T> = std::result::Result<T, ErrorView>;
type Core<'a> = State<'a, core::Core>;

/// Every command and event, for the handler and for the bindings alike.
#[must_use]
pub fn builder() -> Builder<Wry> {
    Builder::new()
        .commands(collect_commands![
            setup_status,
            setup_create,
            setup_save_kit,
            kit_choose,
            overview_get,
            nodes_list,
            node_get,
            node_enrol,
            node_rename,
            node_revoke,
            node_scan,
            node_stats,
            node_watch,
            node_unwatch,
            node_resources,
            sources_list,
            source_protect,
            source_remove,
            source_retention,
            retention_preview,
            source_schedule,
            schedule_preview,
            jobs_list,
            job_get,
            job_start,
            job_stop,
            job_retry,
            job_reset,
            snapshots_list,
            snapshot_files,
            snapshot_verify,
            snapshot_hold,
            snapshots_adopt,
            snapshot_restore,
            snapshot_restore_in_place,
            restore_confirm,
            restore_undo,
            tasks_list,
            task_cancel,
            folder_choose,
            folder_open,
            providers_list,
            provider_add,
            provider_test,
            provider_remove,
            provider_manage,
            provider_reconcile,
            catalogue_rebuild,
        ])
        .events(collect_events![FromMaster])
        // What goes in and what comes out look alike: one TypeScript type each.
        .disable_serde_phases()
        // Bytes and counts stay far below 2^53.
        .dangerously_cast_bigints_to_number()
}

#[tauri::command]
#[specta::specta]
async fn setup_status(core: Core<'_>) -> Answer<SetupStatus> {
    match core.master().await {
        Ok(master) => Ok(master.setup_status().await?),
        // The window is open all the same, and says why nothing else works.
        Err(error) => Ok(SetupStatus {
            tenant: None,
            kit_saved: false,
            keyring_problem: Some(error.into()),
            kit_path: String::new(),
        }),
    }
}

#[tauri::command]
#[specta::specta]
async fn setup_create(core: Core<'_>, tenant_name: String) -> Answer<TenantView> {
    Ok(core.master().await?.setup_create(&tenant_name).await?)
}

#[tauri::command]
#[specta::specta]
async fn setup_save_kit(core: Core<'_>, path: PathBuf) -> Answer<()> {
    Ok(core.master().await?.setup_save_kit(path).await?)
}

#[tauri::command]
#[specta::specta]
async fn overview_get(core: Core<'_>) -> Answer<OverviewView> {
    Ok(core.master().await?.overview_get().await?)
}

#[tauri::command]
#[specta::specta]
async fn nodes_list(core: Core<'_>) -> Answer<Vec<NodeView>> {
    Ok(core.master().await?.nodes_list().await?)
}

#[tauri::command]
#[specta::specta]
async fn node_get(core: Core<'_>, node_id: NodeId) -> Answer<NodeView> {
    Ok(core.master().await?.node_get(&node_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn node_enrol(core: Core<'_>, address: String, code: String) -> Answer<NodeView> {
    Ok(core.master().await?.node_enrol(&address, &code).await?)
}

#[tauri::command]
#[specta::specta]
async fn node_rename(core: Core<'_>, node_id: NodeId, name: String) -> Answer<NodeView> {
    Ok(core.master().await?.node_rename(&node_id, &name).await?)
}

#[tauri::command]
#[specta::specta]
async fn node_revoke(core: Core<'_>, node_id: NodeId) -> Answer<()> {
    Ok(core.master().await?.node_revoke(&node_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn node_scan(
    core: Core<'_>,
    node_id: NodeId,
    base: Option<String>,
) -> Answer<Vec<FoundSite>> {
    Ok(core
        .master()
        .await?
        .node_scan(&node_id, base.as_deref())
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn node_stats(core: Core<'_>, node_id: NodeId, range: StatsRange) -> Answer<StatsHistory> {
    Ok(core.master().await?.node_stats(&node_id, range).await?)
}

#[tauri::command]
#[specta::specta]
async fn node_watch(core: Core<'_>, node_id: NodeId) -> Answer<()> {
    Ok(core.master().await?.node_watch(&node_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn node_unwatch(core: Core<'_>, node_id: NodeId) -> Answer<()> {
    Ok(core.master().await?.node_unwatch(&node_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn node_resources(core: Core<'_>, node_id: NodeId) -> Answer<Resources> {
    Ok(core.master().await?.node_resources(&node_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn sources_list(core: Core<'_>) -> Answer<Vec<SourceView>> {
    Ok(core.master().await?.sources_list().await?)
}

#[tauri::command]
#[specta::specta]
async fn source_protect(
    core: Core<'_>,
    node_id: NodeId,
    path: String,
    name: String,
    provider_ids: Vec<ProviderId>,
) -> Answer<SourceView> {
    Ok(core
        .master()
        .await?
        .source_protect(&node_id, &path, &name, &provider_ids)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn source_remove(core: Core<'_>, source_id: SourceId) -> Answer<()> {
    Ok(core.master().await?.source_remove(&source_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn source_retention(
    core: Core<'_>,
    source_id: SourceId,
    retention: Option<Retention>,
) -> Answer<()> {
    Ok(core
        .master()
        .await?
        .source_retention(&source_id, retention)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn retention_preview(
    core: Core<'_>,
    source_id: SourceId,
    retention: Retention,
) -> Answer<RetentionPreview> {
    Ok(core
        .master()
        .await?
        .retention_preview(&source_id, &retention)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn source_schedule(
    core: Core<'_>,
    source_id: SourceId,
    schedule: Option<Schedule>,
) -> Answer<()> {
    Ok(core
        .master()
        .await?
        .source_schedule(&source_id, schedule)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn schedule_preview(core: Core<'_>, schedule: Schedule) -> Answer<SchedulePreview> {
    Ok(core.master().await?.schedule_preview(schedule)?)
}

#[tauri::command]
#[specta::specta]
async fn jobs_list(core: Core<'_>, node_id: NodeId) -> Answer<Vec<Job>> {
    Ok(core.master().await?.jobs_list(&node_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn job_get(core: Core<'_>, job_id: JobId) -> Answer<NodeJob> {
    Ok(core.master().await?.job_get(&job_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn job_start(core: Core<'_>, source_id: SourceId) -> Answer<NodeJob> {
    Ok(core.master().await?.job_start(&source_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn job_stop(core: Core<'_>, node_id: NodeId, job_id: JobId) -> Answer<()> {
    Ok(core.master().await?.job_stop(&node_id, &job_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn job_retry(core: Core<'_>, node_id: NodeId, job_id: JobId) -> Answer<NodeJob> {
    Ok(core.master().await?.job_retry(&node_id, &job_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn job_reset(core: Core<'_>, node_id: NodeId, job_id: JobId) -> Answer<()> {
    Ok(core.master().await?.job_reset(&node_id, &job_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn snapshots_list(core: Core<'_>, source_id: Option<SourceId>) -> Answer<Vec<SnapshotView>> {
    Ok(core
        .master()
        .await?
        .snapshots_list(source_id.as_ref())
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn snapshot_files(
    core: Core<'_>,
    snapshot_id: SnapshotId,
    folder: String,
) -> Answer<Vec<FileEntry>> {
    Ok(core
        .master()
        .await?
        .snapshot_files(&snapshot_id, &folder)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn snapshot_verify(core: Core<'_>, snapshot_id: SnapshotId) -> Answer<TaskView> {
    Ok(core.master().await?.snapshot_verify(&snapshot_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn snapshot_hold(core: Core<'_>, snapshot_id: SnapshotId, held: bool) -> Answer<()> {
    Ok(core
        .master()
        .await?
        .snapshot_hold(&snapshot_id, held)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn snapshots_adopt(
    core: Core<'_>,
    provider_id: ProviderId,
    snapshot_ids: Vec<SnapshotId>,
) -> Answer<Vec<SnapshotId>> {
    Ok(core
        .master()
        .await?
        .snapshots_adopt(&provider_id, &snapshot_ids)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn snapshot_restore(
    core: Core<'_>,
    snapshot_id: SnapshotId,
    paths: Vec<String>,
    folder: PathBuf,
) -> Answer<TaskView> {
    Ok(core
        .master()
        .await?
        .snapshot_restore(&snapshot_id, &paths, folder)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn snapshot_restore_in_place(
    core: Core<'_>,
    snapshot_id: SnapshotId,
) -> Answer<RestoreStarted> {
    Ok(core
        .master()
        .await?
        .snapshot_restore_in_place(&snapshot_id)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn restore_confirm(core: Core<'_>, node_id: NodeId, job_id: JobId) -> Answer<()> {
    Ok(core
        .master()
        .await?
        .restore_confirm(&node_id, &job_id)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn restore_undo(core: Core<'_>, node_id: NodeId, job_id: JobId) -> Answer<()> {
    Ok(core.master().await?.restore_undo(&node_id, &job_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn tasks_list(core: Core<'_>) -> Answer<Vec<TaskView>> {
    Ok(core.master().await?.tasks_list().await?)
}

#[tauri::command]
#[specta::specta]
async fn task_cancel(core: Core<'_>, task_id: String) -> Answer<()> {
    Ok(core.master().await?.task_cancel(&task_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn providers_list(core: Core<'_>) -> Answer<Vec<ProviderView>> {
    Ok(core.master().await?.providers_list().await?)
}

#[tauri::command]
#[specta::specta]
async fn provider_add(
    core: Core<'_>,
    name: String,
    kind: ProviderKind,
    credentials: Option<CredentialsInput>,
) -> Answer<ProviderView> {
    Ok(core
        .master()
        .await?
        .provider_add(&name, kind, credentials)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn provider_test(
    core: Core<'_>,
    kind: ProviderKind,
    credentials: Option<CredentialsInput>,
    provider_id: Option<ProviderId>,
) -> Answer<ProviderTest> {
    Ok(core
        .master()
        .await?
        .provider_test(kind, credentials, provider_id.as_ref())
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn provider_remove(core: Core<'_>, provider_id: ProviderId) -> Answer<()> {
    Ok(core.master().await?.provider_remove(&provider_id).await?)
}

#[tauri::command]
#[specta::specta]
async fn provider_manage(
    core: Core<'_>,
    provider_id: ProviderId,
    credentials: Option<CredentialsInput>,
) -> Answer<()> {
    Ok(core
        .master()
        .await?
        .provider_manage(&provider_id, credentials)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn provider_reconcile(core: Core<'_>, provider_id: ProviderId) -> Answer<Reconciliation> {
    Ok(core
        .master()
        .await?
        .provider_reconcile(&provider_id)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn catalogue_rebuild(
    core: Core<'_>,
    tenant_name: String,
    kind: ProviderKind,
    credentials: CredentialsInput,
    recovery_key: RecoveryKeyInput,
) -> Answer<Rebuilt> {
    Ok(core
        .master()
        .await?
        .catalogue_rebuild(&tenant_name, kind, credentials, &recovery_key.key)
        .await?)
}

#[tauri::command]
#[specta::specta]
async fn kit_choose(app: AppHandle, suggested: PathBuf) -> Answer<Option<PathBuf>> {
    Ok(dialogs::choose_file(&app, suggested).await?)
}

#[tauri::command]
#[specta::specta]
async fn folder_choose(app: AppHandle) -> Answer<Option<PathBuf>> {
    Ok(dialogs::choose_folder(&app).await?)
}

/// Shows a folder in the system's file manager, if a task landed in it: the page can have nothing
/// else opened.
#[tauri::command]
#[specta::specta]
async fn folder_open(core: Core<'_>, path: String) -> Answer<()> {
    let tasks = core.master().await?.tasks_list().await?;
    if !tasks.iter().any(|t| t.landed_in.as_ref() == Some(&path)) {
        let refused = format!("no task of this session landed in {path}");
        return Err(Error::new(Code::Denied, refused).into());
    }
    let opened = open::that_detached(&path).with_context(|| format!("open the folder {path}"));
    Ok(opened?)
}
