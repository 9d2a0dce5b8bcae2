//! `greenroom metrics`: the figures of a store as text that Prometheus reads. Every log is read, so
//! it counts from the first event on, whoever ran it; who is in memory only a running runtime
//! knows, so nobody is here. A log that does not verify is left out, and said to be.

use clap::Args;
use greenroom_actors::{
    domain::{house::HouseEvent, ids::Position},
    runtime::OWN_TOOLS,
};

use crate::{
    app,
    config::Settings,
    telemetry::metrics::{Heard, House, Metrics},
};

use super::{CliError, Done, OnStore, look, screen::Screen, tree};

/// `greenroom metrics`.
#[derive(Args, Debug)]
pub(super) struct MetricsArgs {
    #[command(flatten)]
    on: OnStore,
}

pub(super) async fn run(args: &MetricsArgs, settings: &Settings) -> Result<Done, CliError> {
    let reading = app::look(&args.on.path(settings))?;
    let mut done = Done::Well;
    let mut metrics = Metrics::default();
    let mut house = House::default();
    metrics.know([], OWN_TOOLS);
    // One that cannot be read names no prices, and their models are others.
    for event in reading.house().await.unwrap_or_default() {
        if let HouseEvent::PricesSet { prices } = event {
            metrics.know(prices.iter().map(|dated| dated.model.as_str()), []);
        }
    }
    for row in look::every(&reading, true).await? {
        // One log at a time: the store may hold more than memory does.
        let frames = match reading.read(row.session, Position(0)).await {
            Ok(frames) => frames,
            Err(error) => {
                let damage = tree::damage(error)?;
                Screen::remark(&format!("left out: {damage}"));
                done = Done::Badly;
                continue;
            }
        };
        for frame in frames {
            let of =
                Heard { session: row.session, agent: row.agent.as_str(), at: frame.envelope.at };
            frame.events.iter().for_each(|event| metrics.hear(of, event));
        }
    }
    house.census = reading.census(None).await?;
    house.approvals = reading.open(None).await?.approvals;
    metrics.look(&house);
    Screen::print(metrics.text().map_err(CliError::Metrics)?.trim_end())?;
    Ok(done)
}
