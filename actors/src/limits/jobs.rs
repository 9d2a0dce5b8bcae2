//! Bounds of jobs: how many, how long, how often.

use super::GATE_CALLS;

/// Jobs that are not done, in all queues together: each is held in memory, at some 8 KiB with its
/// history, so 32 MiB.
pub const JOBS_OPEN: usize = 4_096;
/// Jobs of one queue of one tenant that are not done: four full ones fill the house.
pub const QUEUE_OPEN: usize = 1_024;
/// Jobs of one queue at work at once, where nothing else is set.
pub const QUEUE_PLACES: u32 = 8;
/// Prompts of jobs at work at once in the house: above what one credential's gate lets through they
/// would only wait there.
pub const JOB_PROMPTS: u32 = 2 * GATE_CALLS;
/// Questions to the jobs' actor that wait at its door: each host of `JOBS_OPEN` may have one.
pub const JOBS_INBOX: usize = JOBS_OPEN;
/// Orders to one job that wait for its last frame to be written.
pub const JOB_ORDERS: usize = 64;
/// How long one attempt may take where nothing else is said.
pub const JOB_ATTEMPT_MS: u64 = 3_600_000;
/// Attempts where nothing else is said.
pub const JOB_ATTEMPTS: u32 = 3;
/// Attempts at most: with doubling pauses days of trouble.
pub const JOB_ATTEMPTS_MAX: u32 = 100;
/// First pause between two attempts.
pub const JOB_BACKOFF_MS: u64 = 500;
/// Longest pause between two where nothing else is said.
pub const JOB_BACKOFF_MAX_MS: u64 = 300_000;
/// Lines of history that are kept of a job; what was dropped is counted.
pub const JOB_HISTORY: usize = 64;
/// Frames from which on a job's log takes no more progress and pauses: a report every minute of a
/// week. What it ends with is always taken.
pub const JOB_FRAMES: u64 = 10_000;
/// Jobs that one may wait for.
pub const JOB_AFTER: usize = 16;
/// Tries to tell a webhook of an end: with pauses from `WEBHOOK_PAUSE_MS` up to
/// `WEBHOOK_PAUSE_MAX_MS` these are three hours.
pub const JOB_TELLS: u32 = 45;
/// Ends that are told at once.
pub const JOB_TELLING: usize = 16;
/// How long telling one may take.
pub const JOB_TELL_MS: u64 = 60_000;
/// Changes of jobs that a listener may be behind.
pub const JOB_NOTES: usize = 1_024;
