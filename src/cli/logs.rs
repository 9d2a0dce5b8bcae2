//! Log lines on stderr, of a command and of what panics under it, without secrets.

use std::io;

use crate::{config::Settings, telemetry::redact::Masking};

use super::screen::Screen;

/// Log lines on stderr: the `usual` ones, where nobody has said which.
pub(super) fn start(settings: &Settings, usual: &str) {
    let wanted = settings.log.as_ref().map_or(usual, |log| &log.value);
    let filter = tracing_subscriber::EnvFilter::try_new(wanted).unwrap_or_else(|_unreadable| {
        // Logs must not stop a command.
        Screen::remark(&format!("log filter {wanted:?} is not understood; it is {usual:?} now"));
        tracing_subscriber::EnvFilter::new(usual)
    });
    let secrets = settings.environment.secrets.clone();
    let sink = Masking::new(secrets.clone(), io::stderr);
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(sink);
    // Somebody who embeds this has set logs up already.
    let _set = logs.with_target(false).try_init();
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        if thread.name() == Some("main") {
            let payload = panic.payload();
            let said = payload.downcast_ref::<&str>().copied();
            let said = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            let said = said.unwrap_or_default();
            let clean = secrets.clean_words(said);
            if clean == said {
                return loud(panic);
            }
            // What panics say by themselves would hold the secret.
            return Screen::remark(&format!("the program panicked: {clean}"));
        }
        // Whoever owns the task hears of it and says what it does about it.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(place, thread = thread.name().unwrap_or("unnamed"), "panic");
    }));
}
