//! Every bound, with the arithmetic that chose it. A number elsewhere is a defect.

mod jobs;

pub use jobs::{
    JOB_AFTER, JOB_ATTEMPT_MS, JOB_ATTEMPTS, JOB_ATTEMPTS_MAX, JOB_BACKOFF_MAX_MS, JOB_BACKOFF_MS,
    JOB_FRAMES, JOB_HISTORY, JOB_NOTES, JOB_ORDERS, JOB_PROMPTS, JOB_TELL_MS, JOB_TELLING,
    JOB_TELLS, JOBS_INBOX, JOBS_OPEN, QUEUE_OPEN, QUEUE_PLACES,
};

/// How deep agents may spawn agents: 8 levels of width 2 are already 256 agents.
pub const DEPTH: u32 = 4;
/// Children of one session alive at once.
pub const WIDTH: u32 = 64;
/// Agents alive at once below one root: three levels of 8 are 584, a runaway is stopped at twice that.
pub const TOTAL: u32 = 1_024;
/// Model calls in one turn: a long coding task takes some 50, so 4 times that.
pub const STEPS: u32 = 200;
/// Failed model calls made again, per step: 5 with doubling backoff ride out about 30 s of trouble.
pub const MODEL_RETRIES: u32 = 5;
/// First pause before a model call is made again.
pub const RETRY_MS: u64 = 500;
/// Longest such pause, unless the vendor asked for a longer one.
pub const RETRY_MAX_MS: u64 = 30_000;
/// Models that one agent falls back to: each may use up its retries, some minutes of trouble, before
/// the next is asked; four more are enough to leave any vendor.
pub const FALLBACKS: usize = 4;
/// A turn's whole time: `APPROVAL_MS` over a weekend and a day of work, else the turn would end while
/// a person may still answer.
pub const TURN_MS: u64 = 345_600_000;
/// A model call's whole time: 15 min covers the longest thinking seen.
pub const MODEL_MS: u64 = 900_000;
/// A tool call's whole time.
pub const TOOL_MS: u64 = 300_000;
/// How long a person has to answer an approval: three days, over a weekend.
pub const APPROVAL_MS: u64 = 259_200_000;
/// How long an aborted task may take to end before its call is closed without it.
pub const ABORT_GRACE_MS: u64 = 2_000;
/// How long a result that came in time may take to be put away once the call's time is up or it is
/// cancelled. With `ABORT_GRACE_MS` before it that is well within twice that, after which a call is
/// closed without its task: so what is known of a call that has ended is never given up.
pub const KEEP_MS: u64 = 1_000;

/// A session's own panics without progress within the window before quarantine.
pub const PANICS_MAX: u32 = 3;
/// The window of the restart budget.
pub const PANIC_WINDOW_MS: u64 = 60_000;
/// First backoff of a restart; 0.2, 0.4, 0.8 … s.
pub const BACKOFF_MS: u64 = 200;
/// Longest backoff of a restart.
pub const BACKOFF_MAX_MS: u64 = 10_000;
/// Restarts per second in the whole runtime, and as many at once: never more than 50 within any
/// second, and 500 sessions that fail at once are back within 20 s.
pub const RESTARTS_PER_SECOND: u32 = 25;
/// Sessions that may die within `BREAKER_WINDOW_MS` before it counts as one common cause: what the
/// house restarts in a second. Restarts that all die again are 50 in the window, so it opens again.
pub const BREAKER_DEATHS: usize = 25;
/// The window in which deaths of different sessions count as together.
pub const BREAKER_WINDOW_MS: u64 = 2_000;
/// Sessions that are started to see whether the common cause has passed: one could be lucky, and each
/// failed look costs as many panics.
pub const BREAKER_PROBES: usize = 3;
/// First pause before that is looked at; it doubles with every failed look: 1, 2, 4, 8, 10 s.
pub const BREAKER_PAUSE_MS: u64 = 1_000;
/// Longest such pause: with `BREAKER_ASK_MS` and `BREAKER_LIVES_MS` some 20 s after the cause has
/// passed the first are back, and 500 by 20 s later: within the minute.
pub const BREAKER_PAUSE_MAX_MS: u64 = 10_000;
/// A probe lives when it has come a step further, or is at work for so long: a cause that strikes
/// when the model answers needs the seconds that an answer takes.
pub const BREAKER_LIVES_MS: u64 = 5_000;
/// How often one who waits asks again, and up to twice that: 10,000 who wait are 7,000 questions a
/// second, each the time of a map's look-up.
pub const BREAKER_ASK_MS: u64 = 1_000;
/// One who has not asked for so long waits no more, and a probe of whom nothing is heard is none:
/// five times the longest pause between two questions.
pub const BREAKER_LOST_MS: u64 = 10_000;

/// Inputs a session holds before a producer hears `Busy`: 16 queued turns are hours of work.
pub const INBOX: u32 = 16;
/// Mail between actors in one session's mailbox: every child may report (WIDTH), be re-reported
/// by a sweep (WIDTH), and the parent may ask and cancel; 1,024 is 8 times that.
pub const MAIL: u32 = 1_024;
/// Inputs accepted and not yet begun, in the log.
pub const QUEUE: usize = 64;
/// Messages that wait in a wing for one session to wake.
pub const WAKE_QUEUE: usize = 1_024;
/// Tool calls in one model message: more is a runaway.
pub const CALLS_PER_REPLY: usize = 128;
/// Tool calls in one message that are read at all: what comes above `CALLS_PER_REPLY` is refused one
/// by one in the frame of the reply, at some 230 bytes each, and half a frame is left for that.
pub const CALLS_READ: usize = 1_024;
/// Bookings that a session tells the ledger again when it wakes. One frame closes at most a model
/// call and the `CALLS_READ` it asked for, and what a frame books may be lost with the session before
/// the ledger hears of it; twice that, for the frame before may have been lost to the ledger as well.
/// At some 70 bytes these are 140 KiB, and only for a session that was asked for that many.
pub const RECENT: usize = 2 * CALLS_READ;
/// Open tool calls asked for by the host in one session.
pub const HOST_CALLS: usize = 64;

/// Inputs and calls of the host that one session ever takes: it keeps every key, for one that comes
/// again after any time must be the same input, and a log of a hundred times as many frames is what
/// a wake reads within `LOAD_MS`. At some 100 bytes for a usual key these are 6 MiB, with the longest
/// ones 40 MiB; a turn a minute fills it in 45 days. Then the session is forked: a fork carries the
/// conversation and begins with no keys.
pub const KEYS: usize = 65_536;
/// Ends of turns that a session holds in memory, of those its parent assigned and of others apart:
/// twice `QUEUE`, more than a parent can have asked for and not heard. At 128 KiB for the longest
/// answer these are 16 MiB each. How an older one ended is read from the log.
pub const OUTCOMES: usize = 2 * QUEUE;
/// Closed calls of the host whose results a session holds: a host that was away asks after what it
/// had open, `HOST_CALLS`. At `INLINE_BYTES` these are 2 MiB. Older ones are read from the log.
pub const CALL_OUTCOMES: usize = HOST_CALLS;
/// Answers of people that a session knows word by word: all that can be open at once. An edit has at
/// most `INPUT_BYTES`, so 24 MiB. An older one given again is told that its question is closed,
/// which changes nothing either.
pub const ANSWERS: usize = CALLS_PER_REPLY + HOST_CALLS;

/// Agents that a session ever starts: it knows each, for its model may name any of them. One that
/// has ended and was read about takes some 2.5 KiB, so these are 40 MiB; the log of as many, with the
/// agent in each first frame, is what a wake reads within `LOAD_MS`. Then the session is forked.
pub const CHILDREN: usize = 16_384;
/// Reports of agents that a session holds whole after its model has read them: it may list them
/// again, twice as many as are alive at once. At 128 KiB for the longest these are 16 MiB.
pub const CHILD_REPORTS: usize = 2 * WIDTH as usize;
/// What is kept of the text of an older one: enough to tell one from another. The whole is in the log.
pub const CHILD_SHORT_BYTES: usize = 256;

/// One event in bytes; what is larger is a blob before the frame that names it.
pub const EVENT_BYTES: usize = 256 * 1024;
/// One frame in bytes: below the 1 MiB payload of the brokers a log may later live on.
pub const FRAME_BYTES: usize = 512 * 1024;
/// A text above this goes into a blob: an event holds several.
pub const INLINE_BYTES: usize = 32 * 1024;
/// Head and tail shown of a text that went into a blob, each.
pub const PREVIEW_BYTES: usize = 4 * 1024;
/// One blob.
pub const BLOB_BYTES: usize = 64 * 1024 * 1024;
/// A user's input text: half of an event, so that its envelope fits beside it.
pub const INPUT_BYTES: usize = 128 * 1024;
/// One image: 5 MB in base64, which makes four bytes of three, is the least that a vendor takes.
pub const IMAGE_BYTES: usize = 3_750_000;
/// Images in one input: above 20 a vendor takes only small ones.
pub const IMAGES: usize = 20;
/// All images of a conversation, since each call sends them again: 18.7 MB in base64, within the 20 MB
/// of a whole request that are the least that a vendor takes. `GATE_CALLS` at once with as many are
/// 900 MB, and more on the wire; who talks about pictures with that many agents at once has the memory for it.
pub const IMAGES_BYTES: u64 = 14_000_000;
/// Tokens of one image, at most, whatever its size. Vendors scale a large one down and count tiles:
/// Anthropic 1,600 or, of its largest, 4,784; Gemini 16 tiles of 258; OpenAI 8 tiles, dearest where
/// a tile counts 5,667 and the image 2,833: 48,169.
pub const IMAGE_TOKENS: u64 = 48_169;
/// A reason for a cancel, or a vendor's words about a failure: it is repeated in the event of every
/// queued turn that it ends, and `QUEUE` of them must fit into one frame.
pub const REASON_BYTES: usize = 2_048;
/// A key of an input or of a call: it stands beside what it names in the log, and as the cause in
/// every frame that follows from it. Two ids and a word are 80 bytes.
pub const KEY_BYTES: usize = 512;
/// A session's name: one line of a list.
pub const NAME_BYTES: usize = 200;
/// A model's name in an answer: servers on one's own machine say the path of a file there. It stands
/// in the events of its call beside what was said.
pub const MODEL_NAME_BYTES: usize = 1_024;

/// Frames in one group commit.
pub const COMMIT_FRAMES: usize = 256;
/// Requests queued to the journal's writer: 16 full groups.
pub const JOURNAL_QUEUE: usize = 4_096;
/// Frames read at once when a session wakes.
pub const READ_FRAMES: usize = 512;
/// Bytes of frames read at once, whatever their number: 16 of the largest. Each reader of a store
/// and each waking session holds one page, where 512 frames of `FRAME_BYTES` would be 256 MiB.
pub const READ_BYTES: usize = 8 * 1024 * 1024;
/// Reading connections of a store: two cores' worth of replay beside as much waiting on the disk.
pub const STORE_READERS: usize = 4;
/// Reads queued to them before callers wait: 256 sessions waking behind each reader.
pub const STORE_READS: usize = 1_024;
/// Write-ahead log in pages of 4 KiB before it is copied back: 32 MiB; smaller halves the rate.
pub const STORE_WAL_PAGES: u64 = 8_000;
/// Pages that the store's writer keeps in memory, in KiB. A frame touches 6 pages, the same ones again
/// for the session's next: 4,096 pages are what some 700 sessions at work touch. Readers keep
/// SQLite's own 2 MiB.
pub const STORE_CACHE_KIB: i64 = 16 * 1024;
/// Pages that a long reader may hold back before the store warns: 64 MiB.
pub const STORE_WAL_ALARM_PAGES: u64 = 16_384;
/// Quiet time after which the write-ahead log is copied back although it is short.
pub const STORE_IDLE_MS: u64 = 1_000;
/// How long a write waits for another program that holds the file.
pub const STORE_BUSY_MS: u64 = 5_000;
/// The same while opening, where a refusal is due within a second.
pub const STORE_OPEN_BUSY_MS: u64 = 500;
/// A booked figure as the store sums it, at most: 2^53, so that 1,024 absurd ones still fit.
pub const STORE_BOOKED_MAX: u64 = 1 << 53;

/// Idle time after which a session leaves memory.
pub const IDLE_MS: u64 = 60_000;
/// How often a parent asks again after children whose reports may have been lost.
pub const CHILD_SWEEP_MS: u64 = 5_000;
/// How often a session asks the ledger or a pool again when an answer may have been lost.
pub const LEDGER_RETRY_MS: u64 = 1_000;
/// How long a reservation waits for room that others hold.
pub const RESERVE_WAIT_MS: u64 = 600_000;
/// Ledger records in one frame: a grant with a path of 5 accounts is some 1.4 KB, so 256 stay below
/// `FRAME_BYTES`; and it is one group commit's worth.
pub const LEDGER_BATCH: usize = 256;
/// Reservations of one tree in the ledger's memory, waiting or being written: 4 for each agent of
/// a tree of `TOTAL`. What comes above that is dropped; its session asks again.
pub const LEDGER_QUEUE: usize = 4_096;
/// Closed calls of one tree whose figures may still be replaced: calls that broke off and stand at
/// their bound. With a path of 5 accounts one takes some 600 bytes, so this is 40 MB; and as each is
/// booked at 8,192 output tokens or more, half a billion tokens were spent on broken calls before. At
/// that a tree is granted no more until figures come; its sessions ask again until their turns end.
/// Calls closed for good are spans of numbers: 16 bytes for each session, and for each number that
/// never had a grant.
pub const LEDGER_UNSETTLED: usize = 65_536;
/// How long the ledger pauses before it tells a session again that its budget passed a mark: a full
/// inbox has room after a commit or two, and nobody's work waits for the warning.
pub const WARN_RETRY_MS: u64 = 1_000;
/// How often the root looks for sleepers whose time has come.
pub const WAKE_SCAN_MS: u64 = 500;
/// Sleepers read at once by a scan; it goes on until all are woken.
pub const WAKE_SCAN_MAX: usize = 256;
/// How long a journal append may take before the session counts it as unavailable.
pub const APPEND_MS: u64 = 30_000;
/// How long a session may take to load.
pub const LOAD_MS: u64 = 60_000;
/// How long a suspended session waits before it asks the journal again.
pub const SUSPEND_MS: u64 = 1_000;
/// How long the ledger may take to answer a question asked by a task or a face.
pub const CALL_MS: u64 = 10_000;
/// How long the outcome of a turn is waited for where the caller does not say: the longest turn that
/// can be declared, behind one that was as long as they usually may be.
pub const OUTCOME_MS: u64 = TIME_MAX_MS + TURN_MS;
/// A wait for a moment of the wall looks at it again at least this often, so that a clock set forward
/// by hand or by a machine that slept is seen. 10,000 waits are 10,000 looks a second, some 1 % of a core.
pub const WALL_LOOK_MS: u64 = 1_000;
/// How long shutdown may take before what is left is killed.
pub const SHUTDOWN_MS: u64 = 10_000;
/// How long an exporter of spans and metrics may think about a lot: a collector is near and answers
/// within milliseconds, and meanwhile a busy house makes some thousand spans, which wait.
pub const EXPORT_MS: u64 = 10_000;
/// How long the end of a program waits for the last lots. Half of what the house itself may take: nobody
/// ends a program for its collector.
pub const EXPORT_END_MS: u64 = SHUTDOWN_MS / 2;

/// Wing supervisors: 16 bound both fan-in (10k sessions are 625 a wing) and blast radius.
pub const WINGS: usize = 16;
/// Slots of a tool pool, unless configured.
pub const POOL_SLOTS: u32 = 32;
/// Tool calls waiting for a slot in one pool before new ones are refused.
pub const POOL_QUEUE: usize = 100_000;
/// Model calls at once per credential, unless configured. Those in flight when a vendor begins to
/// refuse are all refused: with the looks at it during three minutes, at most 50 calls in vain, which
/// is a tenth for 500 sessions.
pub const GATE_CALLS: u32 = 40;
/// Model calls that wait at one gate.
pub const GATE_QUEUE: usize = 100_000;
/// After a pause of a gate its grants are spread over this share of the pause, in percent: the
/// vendor asked for a wait, and everybody at once when it ends is how the next one begins.
pub const GATE_SPREAD_PERCENT: u64 = 20;
/// The least such spread, so that a pause of "1 s" or "0" is spread too.
pub const GATE_SPREAD_MIN_MS: u64 = 200;
/// The longest such spread: behind a pause of a day nobody else comes back for hours either.
pub const GATE_SPREAD_MAX_MS: u64 = 60_000;
/// A round of a fair queue in what its items weigh; at the gate these are tokens, and no call weighs
/// less: a tiny one takes a place as well. It is `OUTPUT_TOKENS`, which most calls reserve.
pub const FAIR_ROUND: u64 = OUTPUT_TOKENS;
/// The most that a model call weighs: 16 rounds, so that one absurd cap does not send its session to
/// the back for an hour.
pub const GATE_WEIGHT_MAX: u64 = 16 * FAIR_ROUND;
/// Of what is granted while both wait, the share of agents below a root, in percent. People wait for
/// roots; but a root may wait for its agents.
pub const GATE_BEHIND_PERCENT: u64 = 25;
/// Below this share of a vendor's limit, in percent, what is left is spread over the time until it is
/// whole again: a burst and then a wall serve nobody.
pub const GATE_LITTLE_PERCENT: u64 = 20;
/// No figure that a vendor states beside an answer holds a gate longer: five minutes, the longest
/// window seen but for daily ones. Who has used up a day hears so in a refusal, and that holds.
pub const GATE_LEARNT_MAX_MS: u64 = 300_000;
/// Calls made again, in percent of those made for the first time.
pub const GATE_AGAIN_PERCENT: u64 = 10;
/// Calls made again that are always allowed, before any budget is earned.
pub const GATE_AGAIN_FLOOR: u64 = 10;
/// How long the floor takes to regain one: in an outage that answers now and then, nobody waits for
/// ever, and a minute adds 60 calls.
pub const GATE_AGAIN_MS: u64 = 1_000;
/// The most that is earned: that of 500 calls beside the floor.
pub const GATE_AGAIN_MAX: u64 = GATE_AGAIN_FLOOR + 50;
/// So many answers in a row and the vendor is well: what failed before is made again freely. At half
/// of all calls failing that is one time in 32.
pub const GATE_WELL: u32 = 5;
/// So many failures in a row, without an answer between them, and nobody calls but a probe: more than
/// one turn has tries, so one unlucky request is no outage.
pub const GATE_FAILURES: u32 = MODEL_RETRIES + 3;
/// First pause before a probe; it doubles with every probe that fails: 1, 2, 4, 8, 16, 30 s.
pub const GATE_PROBE_MS: u64 = 1_000;
/// The longest such pause: 9 probes in three minutes, and at most 36 s lost when the vendor is back.
pub const GATE_PROBE_MAX_MS: u64 = 30_000;
/// How long those who waited for a probe are spread over.
pub const GATE_BACK_MS: u64 = 1_000;
/// Events a subscriber may lag behind before it is told that it missed some.
pub const BUS_EVENTS: usize = 4_096;
/// The same for whoever follows one session: a reply of 256 pieces that nobody reads while it comes.
pub const FOLLOWER_EVENTS: usize = 256;
/// Rows of a list, unless asked otherwise.
pub const LIST_ROWS: usize = 1_000;
/// Forks of forks: each is one more log to read on wake.
pub const FORK_DEPTH: u32 = 16;
/// A budget warns at this share, in percent.
pub const WARN_PERCENT: u64 = 80;
/// Tokens a vendor may add per message and per tool around our text, for a true upper bound.
pub const WRAP_TOKENS: u64 = 64;
/// Output cap assumed when an agent names none.
pub const OUTPUT_TOKENS: u64 = 8_192;

/// Runs of a tool that are looked at to tell whether it works: what an agent does in a minute or two.
pub const TOOL_RUNS: u32 = 6;
/// So many of them failed, and its calls are asked about. Three failing commands are everyday work of
/// an agent that mends a build; five of six are one that tries the same thing again and again.
pub const TOOL_FAILURES: u32 = 5;
/// Runs of longer ago say nothing: an hour.
pub const TOOL_WINDOW_MS: u64 = 3_600_000;
/// How long they are asked about: time for a person who looks in, and short enough that an agent to
/// which nobody answers has its tool back within its turn.
pub const TOOL_RAISED_MS: u64 = 600_000;
/// So many runs in a row that worked, and the tool is as before.
pub const TOOL_SUCCESSES: u32 = 3;
/// The most of both that a user may set: what one session keeps of each tool that failed.
pub const TOOL_RUNS_MAX: u32 = 64;

/// Questions that are out to channels at once; those beyond wait in the store until one is closed.
/// At some 10 KiB each they are 10 MiB.
pub const QUESTIONS_OUT: usize = 1_024;
/// How often a channel is asked again whose answer could not be taken.
pub const ANSWERS_REFUSED: u32 = 3;
/// An answer of a webhook or in a file: words of a person, or edited arguments; those of a large edit
/// are 32 KiB.
pub const ANSWER_BYTES: usize = 64 * 1024;
/// How often a folder is looked at for an answer: at once for a person, and two opens a second for
/// each question.
pub const ANSWER_LOOK_MS: u64 = 500;
/// The longest pause before a question that could not be written into its folder is tried again; the
/// first is a look's, and it doubles. Of a disk that is full for a night these are 1,000 tries.
pub const QUESTION_PAUSE_MAX_MS: u64 = 30_000;
/// First pause before a webhook is tried again; it doubles.
pub const WEBHOOK_PAUSE_MS: u64 = 1_000;
/// The longest such pause: in an outage of a night 100 tries for each question.
pub const WEBHOOK_PAUSE_MAX_MS: u64 = 300_000;
/// How often the end of a question is told to a webhook that is away: pauses of 1 to 32 s, a minute in
/// all, in which a server that is restarted is back.
pub const WEBHOOK_TELLS: u32 = 7;
/// Arguments that a parent's model is shown; what would have to be cut is not for it to allow.
pub const CONSULTED_BYTES: usize = 16 * 1024;

/// One permission rule in bytes: the longest path, and a line of command, fit.
pub const RULE_BYTES: usize = 4_096;
/// Characters of a rule that an error shows.
pub const RULE_SHOWN: usize = 200;
/// Reasons in one verdict: it rides in an event, and 16 rules of 4 KiB are a quarter of one.
pub const REASONS: usize = 16;
/// Words of all verdicts in one frame: an eighth of it, shared by the calls that are open. A single
/// one has room for `REASONS` of the longest; `CALLS_PER_REPLY` and `HOST_CALLS` at once leave 341
/// bytes for each, where their 16 rules of 4 KiB would be 12 MiB.
pub const VERDICTS_BYTES: usize = FRAME_BYTES / 8;
/// The least room in which a second reason says anything.
pub const REASON_BYTES_MIN: usize = 96;
/// What a call adds to the frame of its reply beside its name and arguments: asked for some 110
/// bytes, then a question or a start of some 330, or a refusal of 120.
pub const CALL_OVERHEAD_BYTES: usize = 448;
/// The same of a call that is refused for being one too many.
pub const REFUSED_OVERHEAD_BYTES: usize = 240;
/// Bytes of a shell command that rules look at; a longer one is never allowed by a rule. Commands
/// that people write are below 2 KiB; the cost of a look grows with its square, and the worst texts of
/// this size take some 50 ms.
pub const COMMAND_BYTES: usize = 6 * 1024;
/// Steps of the parser, by the hundred, that one command may take: a command of `COMMAND_BYTES` takes
/// some 300 of them where the grammar reads it at once, and ten times that where it has to try.
pub const PARSE_STEPS: u32 = 3_000;
/// Pipes, and brackets of tests, in one command: the parser's tree of more is slow to walk, for its rows
/// are chains. People write five.
pub const COMMAND_PIPES: usize = 256;
/// Here-documents in one command: the grammar's scanner holds their ends in a kilobyte.
pub const HERE_DOCUMENTS: usize = 8;
/// How deep the tree of a command is compared with its text: some four nodes for each of the levels
/// below, and each takes a frame of the stack.
pub const TREE_DEPTH: usize = 256;
/// How deep statements, substitutions and texts within texts are entered; people write 3 levels.
pub const SCRIPT_DEPTH: usize = 48;
/// Commands in one script that rules alone may allow; a longer one is read by a person.
pub const SCRIPT_COMMANDS: usize = 50;
/// How often the body of a loop is walked, once for each word that is written out, in loops within loops
/// together; people write five, and a body is soon walked.
pub const LOOP_TURNS: usize = 16;
/// Commands and files of one script that are judged; more is asked, after those were judged.
pub const SCRIPT_PARTS: usize = 512;
/// Files among them, so that however many words a command has, there is room for the command.
pub const SCRIPT_NAMED: usize = 256;
/// Folders that a script may be in at once, one for each `cd` that may have failed.
pub const SCRIPT_FOLDERS: usize = 8;
/// Files of one command whose content an approval holds to; people run one.
pub const SCRIPT_FILES: usize = 16;
/// Bytes of such a file: 16 MiB are hashed in 40 ms, and what people write is a thousandth of it.
pub const SCRIPT_FILE_BYTES: u64 = 16 << 20;
/// Wildcards of one word whose folders are looked at; people write two.
pub const WORD_WILDS: usize = 16;
/// Words of one part of a command that may begin another one.
pub const COMMAND_WORDS: usize = 64;

/// Deaths of one of the house's own actors within the window before the runtime ends.
pub const SEAT_DEATHS_MAX: u32 = 5;
/// First backoff of such an actor: everybody leans on it, so it is short.
pub const SEAT_BACKOFF_MS: u64 = 10;
/// Every so many scans all sleepers with work in hand are woken: 60 scans are 30 s.
pub const FULL_SCAN_EVERY: u64 = 60;
/// Sessions that are cancelled at once where everything is stopped: each is one commit, and they share
/// the writer.
pub const HALT_CANCELS: usize = 64;
/// How often a wing passes by its sessions, so that those with nothing to do may leave.
pub const TICK_MS: u64 = 5_000;
/// How long a caller pauses before it asks a session again that died with its question.
pub const ASK_AGAIN_MS: u64 = 10;
/// A rendered agent in bytes: it stands in every child's first frame beside the lineage.
pub const AGENT_BYTES: usize = 64 * 1024;
/// Longest pause of a credential that a vendor may ask for: a day covers every daily quota.
pub const GATE_PAUSE_MAX_MS: u64 = 86_400_000;
/// Records that wait for the house log: a thousand answers of people while the disk is away.
pub const HOUSE_QUEUE: usize = 1_024;

/// The most that a user may set. `DEPTH`: each level stands as an account and a link of authority in
/// every frame below it; 16 of some 200 bytes are nothing, and 2^16 agents are a tree beyond `TOTAL_MAX`.
pub const DEPTH_MAX: u32 = 16;
/// The same of `WIDTH`: every child may report and be reported again, and half of `MAIL` is left.
pub const WIDTH_MAX: u32 = 256;
/// The same of `TOTAL`: as many sessions as the tests keep in one process.
pub const TOTAL_MAX: u32 = 10_000;
/// The same of `STEPS`: ten times the default.
pub const STEPS_MAX: u32 = 2_000;
/// The same of `MODEL_RETRIES`: at `RETRY_MAX_MS` each, ten minutes of trouble.
pub const RETRIES_MAX: u32 = 20;
/// The same of every time: 30 days; what takes longer is more than one turn.
pub const TIME_MAX_MS: u64 = 2_592_000_000;
/// The same of tokens in one answer or for its thinking: far above any vendor's cap.
pub const REPLY_TOKENS_MAX: u64 = 1_000_000;
/// The same of forgiven panics: with the longest backoff each, a quarter of an hour.
pub const PANICS_MAX_MAX: u32 = 100;
/// Stop sequences of one agent: vendors take 4 to 16.
pub const STOPS_MAX: usize = 16;
/// A name of an agent, a model or a budget in characters: a cell of a table.
pub const WORD_CHARS: usize = 64;
/// An agents file, a script or a text that it names: 16 times what one agent can pin.
pub const AGENTS_FILE_BYTES: u64 = 1024 * 1024;

/// How long a connection to a vendor may take to come about: three lost packets of a handshake.
pub const CONNECT_MS: u64 = 10_000;
/// How long a vendor may take to begin its answer: queues before the first token reach half a minute.
pub const FIRST_BYTE_MS: u64 = 60_000;
/// How long a stream may be silent: vendors send a sign of life every 15 to 30 s.
pub const STREAM_IDLE_MS: u64 = 90_000;
/// How long the rest of a stream is read once the answer is whole, so that its connection serves
/// again: the closing bytes come with the answer, or within a round trip.
pub const STREAM_REST_MS: u64 = 250;
/// One event or line of a vendor's stream: an answer that comes in one piece is a few hundred KiB.
pub const WIRE_EVENT_BYTES: usize = 4 * 1024 * 1024;
/// All text, thinking and arguments of one answer, and an answer that comes as a whole: far above
/// what the longest output of a model takes, far below what 100 calls at once could not hold.
pub const WIRE_REPLY_BYTES: usize = 8 * 1024 * 1024;
/// What is read of an error's body: the vendor's words are in its first lines.
pub const WIRE_ERROR_BYTES: usize = 64 * 1024;
/// What is told on of a vendor's words about an error.
pub const WIRE_WORDS_BYTES: usize = 1_024;
/// How long a vendor's list of models may take, all its pages, and so the look whether it takes a
/// credential: somebody waits for it at a terminal, and such a list is no work for anybody.
pub const LIST_MS: u64 = 30_000;
/// Pages of a vendor's list of models that are read: at 20 to 1,000 a page, every list seen.
pub const MODEL_PAGES: usize = 100;

/// Redirects that `fetch` follows on one host: pages use one or two.
pub const FETCH_REDIRECTS: u32 = 5;
/// Bytes of a page that are read; most are below 1 MiB, and their text far below that.
pub const FETCH_BYTES: usize = 4 * 1024 * 1024;
/// The whole time of one `fetch`: a slow page takes 10 s.
pub const FETCH_MS: u64 = 60_000;
/// Results of one search that a model may ask for: the most that usual services give at once.
pub const SEARCH_RESULTS: usize = 20;
/// How many it gets where it does not say.
pub const SEARCH_RESULTS_USUAL: usize = 8;
/// Bytes of the words that are searched for: a service takes 400 characters, of up to 4 bytes each.
pub const SEARCH_QUERY_BYTES: usize = 1_600;
/// Characters of a result's title and of its text, each: 20 results are 4,000 tokens at most.
pub const SEARCH_CHARS: usize = 400;
/// Characters of a result's address: longer ones are trackers'.
pub const SEARCH_LINK_CHARS: usize = 2_000;
/// Orders for processes that wait for the host of tools: as many as a pool of the default size
/// starts in 30 rounds; the host takes one within a millisecond.
pub const TOOL_ORDERS: usize = 1_024;
/// Orders that run at once in one runtime: 32 pools of the default size, and a table of 4 KiB for who
/// tells them from orphans.
pub const TOOL_AT_ONCE: usize = 1_024;
/// How long a tool's processes have between being asked to end and being ended: what a program takes
/// to write its last words. Within `ABORT_GRACE_MS`, so that a cancel still has their output.
pub const TOOL_GRACE_MS: u64 = 1_500;
/// How long the pipes are read after the program has ended: what it wrote is in them already.
pub const TOOL_PIPE_MS: u64 = 1_000;
/// How long it may take until everybody is dead and reaped who was ended: the kernel needs this long
/// only for who hangs in a dead disk.
pub const TOOL_REAP_MS: u64 = 1_000;
/// How long before the call's own deadline its processes are asked to end: the three before, with
/// which the output still comes out as an answer.
pub const TOOL_END_MS: u64 = TOOL_GRACE_MS + TOOL_PIPE_MS + TOOL_REAP_MS;
/// How long a program runs where the model does not say.
pub const TOOL_RUN_MS: u64 = 120_000;
/// What is kept of the beginning and of the end of each pipe: 64 KiB are a thousand lines, and four
/// of them what one call holds in memory, whatever the tool writes.
pub const TOOL_OUTPUT_BYTES: usize = 64 * 1024;
/// What is kept of each pipe beside that, for a person who wants the whole: both of them and what is
/// said about them fit into one blob.
pub const TOOL_KEPT_BYTES: u64 = BLOB_BYTES as u64 / 2 - (1 << 20);
/// Seconds of one processor for a process: an hour's build is the largest everyday work.
pub const TOOL_CPU_S: u64 = 3_600;
/// Memory that a process may write: what a linker of a large program takes.
pub const TOOL_MEMORY_BYTES: u64 = 4 << 30;
/// Addresses of a process: engines of scripts reserve tens of GiB that they never touch, so this
/// only stops what has no bound at all.
pub const TOOL_SPACE_BYTES: u64 = 256 << 30;
/// The largest file that a process may write.
pub const TOOL_FILE_BYTES: u64 = 4 << 30;
/// Descriptors of a process: the usual soft limit.
pub const TOOL_DESCRIPTORS: u64 = 1_024;
/// Processes and threads of one order: a parallel build on 64 cores, with room.
pub const TOOL_PROCESSES: u64 = 256;
/// Processors that processes leave to everybody else after `TOOL_NEW_MS`: on one that is free, who
/// wakes runs at once.
pub const TOOL_SPARED_PROCESSORS: u64 = 1;
/// How long a process runs wherever it likes: most commands take less.
pub const TOOL_NEW_MS: u64 = 100;
/// What fits into a tool's own `/tmp`: it is memory.
pub const TOOL_SCRATCH_BYTES: u64 = 256 << 20;
/// Files that fit there: each costs the kernel a KiB, so these are 64 MiB.
pub const TOOL_SCRATCH_FILES: u64 = 65_536;
/// Files and folders that are covered for one call: each is a mount of its own and takes the kernel some
/// 20 µs, so these take 20 ms.
pub const TOOL_COVERS: usize = 1_024;
/// Folders, with all below them, that the processes of one call may use beside the system's.
pub const TOOL_TREES: usize = 32;
/// Words in a command, and bytes of them all: below what the kernel takes, 128 KiB for one word.
pub const TOOL_ARGV: usize = 4_096;
/// File tools at work at once in one program, each on a thread of its own: one that hangs on a dead
/// mount keeps its thread, so this many dead calls stop the file tools and nothing else.
pub const FILE_WORKERS: usize = 16;
/// A path that a tool is given, in bytes, and one name in it: what Linux takes.
pub const PATH_BYTES: usize = 4_096;
/// See `PATH_BYTES`.
pub const PATH_NAME_BYTES: usize = 255;
/// What a file tool shows of files in one answer: below `INLINE_BYTES` with the lines around it, so
/// that a model reads all of it and goes on where it ended.
pub const FILE_SHOWN_BYTES: usize = 28 * 1024;
/// A line that is shown, in characters; of a longer one the model hears how long it is.
pub const FILE_LINE_CHARS: usize = 2_000;
/// The same of a line that a search found: a hundred of them are one answer.
pub const FOUND_LINE_CHARS: usize = 300;
/// Lines of one answer, unless asked otherwise: at 40 bytes each they fill it.
pub const FILE_LINES: usize = 700;
/// A file that lines are read of: reading passes over all that stands before them.
pub const FILE_READ_BYTES: u64 = 64 * 1024 * 1024;
/// A file that is edited as a whole in memory: 16 at once are 256 MiB, the text and its successor.
pub const FILE_EDIT_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes looked at to tell text from something else, as other programs do.
pub const FILE_SNIFF_BYTES: usize = 8 * 1024;
/// Edits of one call, and places that one of them may change.
pub const EDITS: usize = 100;
/// Entries of one answer of a list, at some 60 bytes each.
pub const FILES_LISTED: usize = 500;
/// Lines or files that one search finds before it ends.
pub const FILES_FOUND: usize = 1_000;
/// Lines shown around each line that a search found, at most.
pub const FOUND_CONTEXT: usize = 10;
/// A file that is searched; larger ones are data.
pub const FILE_SEARCH_BYTES: u64 = 64 * 1024 * 1024;
/// The longest line that a search holds in memory; a file with a longer one is left out, and said so.
pub const FILE_SEARCH_LINE_BYTES: usize = 1024 * 1024;
/// A compiled expression in bytes: the largest that its library takes by itself is ten times that.
pub const FILE_PATTERN_BYTES: usize = 1024 * 1024;
/// Entries that one walk looks at: the largest source trees have some 100,000, within seconds.
pub const WALK_ENTRIES: usize = 500_000;
/// Entries of one folder that are held to be sorted: at some 60 bytes 6 MiB.
pub const WALK_FOLDER: usize = 100_000;
/// Folders in folders that a walk descends; each is an open descriptor.
pub const WALK_DEPTH: usize = 64;
/// A file that says what to leave out of a walk.
pub const IGNORE_BYTES: u64 = 256 * 1024;
/// Things of one to-do list, and the length of each in characters.
pub const THINGS: usize = 100;
/// See `THINGS`.
pub const THING_CHARS: usize = 400;
