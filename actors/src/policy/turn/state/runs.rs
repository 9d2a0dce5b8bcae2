//! How a session's tools did, as its log tells it. Only what really ran counts: a call that was
//! refused, cancelled, or cut off by a crash says nothing about its tool.

use crate::{
    domain::{
        ids::{Timestamp, ToolCallNo, ToolName},
        permission::Raised,
        tool::ToolOutcome,
    },
    policy::reliability::{self, Record},
};

use super::{Stage, State, ToolCall};

impl State {
    /// A started call has closed.
    pub(in super::super) fn note_run(
        &mut self,
        (no, tool): (ToolCallNo, &ToolName),
        outcome: &ToolOutcome,
        at: Timestamp,
    ) {
        let failed = match outcome {
            ToolOutcome::Done { .. } => false,
            ToolOutcome::Failed { .. } => true,
            ToolOutcome::Refused { .. }
            | ToolOutcome::Cancelled { .. }
            | ToolOutcome::OutcomeUnknown
            | ToolOutcome::NotCarried => return,
        };
        let Some(rules) = self.agent().map(|agent| agent.reliability) else { return };
        if !failed && !self.reliability.contains_key(tool) {
            return;
        }
        let is_through = |call: &ToolCall| match call.stage {
            Stage::Wanted | Stage::Approved { .. } | Stage::Started { .. } => call.name == *tool,
            // Whoever answers it knows of the failure.
            Stage::Asking { .. } => false,
        };
        let beside = self.calls.iter().filter(|(_, call)| is_through(call)).map(|(no, _)| *no);
        let record = self.reliability.entry(tool.clone()).or_default();
        record.note(&rules, (no, failed), beside, at);
        if record.is_clean() {
            self.reliability.remove(tool);
        }
    }

    /// What failed for the parent is asked about here too, as long as there: else a tool would be had
    /// back by starting an agent.
    pub(in super::super) fn inherit_runs(&mut self, raised: &[Raised], at: Timestamp) {
        for one in raised {
            self.reliability.insert(one.tool.clone(), Record::inherited(one, at));
        }
    }

    /// A frame is earlier than the one before it.
    pub(in super::super) fn set_back_runs(&mut self, at: Timestamp) {
        self.reliability.values_mut().for_each(|record| record.set_back(at));
    }

    /// Why a tool is asked about now, although rules may allow it.
    #[must_use]
    pub fn raised(&self, tool: &ToolName, now: Timestamp) -> Option<String> {
        let raise = self.reliability.get(tool)?.raised(now)?;
        let successes = self.agent().map_or(0, |agent| agent.reliability.successes);
        Some(reliability::words(tool, &raise, successes))
    }

    /// Every tool that is asked about now.
    #[must_use]
    pub fn raised_tools(&self, now: Timestamp) -> Vec<Raised> {
        let raised = |(tool, record): (&ToolName, &Record)| {
            let raise = record.raised(now)?;
            let (failed, of, until) = (raise.failed, raise.of, raise.until);
            Some(Raised { tool: tool.clone(), failed, of, until })
        };
        self.reliability.iter().filter_map(raised).collect()
    }
}
