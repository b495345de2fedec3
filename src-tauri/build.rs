//! Compiles the capabilities and the icons into the application.

fn main() {
    // Tauri looks beside the manifest, which here is the workspace's own.
    println!("cargo:rerun-if-changed=src-tauri/capabilities");
    let attributes =
        tauri_build::Attributes::new().capabilities_path_pattern("./src-tauri/capabilities/**/*");
    if let Err(error) = tauri_build::try_build(attributes) {
        panic!("prepare the desktop application: {error:#}");
    }
}
