//! How a session heeds the kill switch. It looks before each input, so that nobody need find it: one that
//! is being woken or born while the switch is thrown is in no list of those at work.

use crate::{
    domain::{
        event::CancelTarget,
        ids::{CallNo, Position},
    },
    policy::turn::{Input, Run},
};

use super::live::{Answering, Job, Live, Work};

impl Live {
    /// Where everything was stopped, the first thing it does is to stop as well: whatever it hears from
    /// then on finds nothing to go on with. So what was on its way while the switch was thrown ends as
    /// does what a crash left.
    pub(super) fn heed(&mut self) {
        let Some(halt) = self.house.halt.borrow().clone() else {
            self.heeds = false;
            return;
        };
        // Before its first frame, off the stage and in the dark nothing of it is at work.
        let still = self.writer.tail == Position(0) || self.state.quarantined.is_some();
        if self.heeds || still || self.house.dark {
            return;
        }
        self.heeds = true;
        let (target, reason) = (CancelTarget::Everything, halt.reason.clone());
        let input = Input::CancelRequested { target, reason };
        let (by, answer) = (halt.by.clone(), Answering::Nobody);
        let work = Work { input, by, caused_by: None, answer, permit: None };
        self.queue.push_front(Job::Step(work));
    }

    /// Whether a call that its log says has begun must not leave the house any more: everything was
    /// stopped while that was being written. Its cancel is in the queue by then and closes it, also where
    /// the switch is lifted in between.
    pub(super) fn holds_back(&mut self, call: CallNo, run: Run) -> bool {
        self.heed();
        if self.heeds && run == Run::First {
            self.held_back.insert(call);
        }
        self.heeds
    }
}
