//! Claims, appends, reads: one owner per log, no gaps, nothing changed on the way.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::{join_all, poll_immediate};

use super::sample::{claim, frame, session, texts, write};
use crate::{
    domain::{
        frame::{Chain, LogId, LogKind, StoredFrame},
        ids::{Position, Token},
        job::JobId,
    },
    limits,
    log::Writer,
    ports::{Append, AppendError, Journal},
};

type Subject = Arc<dyn Journal>;

fn log(n: u128) -> LogId {
    LogId::session(session(n))
}

pub(super) async fn a_claim_raises_the_token_by_one_and_promises_the_tail(journal: Subject) {
    let first = journal.claim(log(1)).await.expect("claim");
    assert_eq!((first.token, first.tail, first.chain), (Token(1), Position(0), Chain::START));
    let mut writer = Writer::new(log(1), first, "t".into(), "p".into());
    write(&*journal, &mut writer, "one").await;
    let second = journal.claim(log(1)).await.expect("claim");
    let last = journal.read(log(1), Position(0), 10).await.expect("read");
    assert_eq!((second.token, second.tail), (Token(2), Position(1)));
    assert_eq!(Some(second.chain), last.last().map(|frame| frame.chain));
    let third = journal.claim(log(1)).await.expect("claim");
    assert_eq!((third.token, third.tail, third.chain), (Token(3), Position(1), second.chain));
    assert_eq!(journal.tail(log(1)).await, Ok((Position(1), Token(3))));
}

pub(super) async fn frames_come_back_as_they_were_written(journal: Subject) {
    let mut writer = claim(&*journal, log(1)).await;
    let mut chain = Chain::START;
    let mut written = Vec::new();
    for text in ["plain", "", "ünï-¢ødé 🎭", "nul \0 and \"quotes\"\n", &"long ".repeat(4_000)]
    {
        let mut append = frame(&writer, text, Vec::new());
        if text.is_empty() {
            append.envelope.caused_by = None;
            append.envelope.trace = None;
        }
        chain = chain.next(&append.envelope, &append.body);
        let (envelope, body) = (append.envelope.clone(), append.body.clone());
        written.push(StoredFrame { envelope, body, chain });
        writer.tail = journal.append(append).await.expect("append");
    }
    assert_eq!(journal.read(log(1), Position(0), 100).await, Ok(written));
    assert_eq!(texts(&journal, log(1)).await.len(), 5);
}

pub(super) async fn a_log_that_does_not_exist_is_empty(journal: Subject) {
    assert_eq!(journal.tail(log(9)).await, Ok((Position(0), Token(0))));
    assert_eq!(journal.read(log(9), Position(0), 10).await, Ok(Vec::new()));
    assert_eq!(journal.tail(log(9)).await, Ok((Position(0), Token(0))), "looking creates nothing");
}

pub(super) async fn a_log_that_nobody_claimed_takes_nothing(journal: Subject) {
    let mut writer = claim(&*journal, log(1)).await;
    writer.log = log(2);
    writer.token = Token(0);
    let refused = journal.append(frame(&writer, "stray", Vec::new())).await;
    let (expected, tail, token) = (Position(1), Position(0), Token(0));
    assert_eq!(refused, Err(AppendError::Fenced { expected, tail, token }));
    assert_eq!(journal.read(log(2), Position(0), 10).await, Ok(Vec::new()));
}

pub(super) async fn a_log_is_born_with_its_first_frame_only_where_there_is_none(journal: Subject) {
    let mut born = unborn(log(1));
    let refused = journal.append(Append { begins: false, ..frame(&born, "too early", Vec::new()) });
    assert!(matches!(refused.await, Err(AppendError::Fenced { .. })), "nobody owns it");
    write(&*journal, &mut born, "born").await;
    assert_eq!(journal.tail(log(1)).await, Ok((Position(1), Token(1))), "its first owner's");
    let refused = journal.append(frame(&unborn(log(1)), "born again", Vec::new())).await;
    let (expected, tail, token) = (Position(1), Position(1), Token(1));
    assert_eq!(refused, Err(AppendError::Fenced { expected, tail, token }));
    born.committed(Position(1));
    write(&*journal, &mut born, "grown").await;
    let mut second = claim(&*journal, log(1)).await;
    let refused = journal.append(frame(&born, "late", Vec::new())).await;
    assert!(matches!(refused, Err(AppendError::Fenced { token: Token(2), .. })), "{refused:?}");
    write(&*journal, &mut second, "theirs").await;
    assert_eq!(texts(&journal, log(1)).await, ["born", "grown", "theirs"]);
    // Claimed and empty it is somebody's, although token and position would fit.
    let mut owner = claim(&*journal, log(2)).await;
    let refused = journal.append(frame(&unborn(log(2)), "over its owner", Vec::new())).await;
    let (expected, tail, token) = (Position(1), Position(0), Token(1));
    assert_eq!(refused, Err(AppendError::Fenced { expected, tail, token }));
    write(&*journal, &mut owner, "the owner's").await;
    // Out of place it brings nothing into being.
    let wrong = Writer { tail: Position(1), ..unborn(log(3)) };
    let refused = journal.append(frame(&wrong, "out of place", Vec::new())).await;
    assert!(matches!(refused, Err(AppendError::Fenced { .. })), "{refused:?}");
    assert_eq!(journal.tail(log(3)).await, Ok((Position(0), Token(0))));
}

pub(super) async fn of_two_that_begin_a_log_at_once_only_one_gets_through(journal: Subject) {
    for n in 0..32 {
        let (one, two) = (unborn(log(n)), unborn(log(n)));
        let both = [&one, &two].map(|who| journal.append(frame(who, "first", Vec::new())));
        let through = join_all(both).await.into_iter().filter(Result::is_ok).count();
        assert_eq!(through, 1);
        assert_eq!(texts(&journal, log(n)).await, ["first"]);
    }
}

/// The writing end of a log that is not there yet.
fn unborn(log: LogId) -> Writer {
    Writer::unborn(log, "tenant".into(), "somebody".into())
}

pub(super) async fn a_former_owner_is_fenced(journal: Subject) {
    let mut former = claim(&*journal, log(1)).await;
    write(&*journal, &mut former, "mine").await;
    let mut owner = claim(&*journal, log(1)).await;
    let refused = journal.append(frame(&former, "late", Vec::new())).await;
    let (expected, tail, token) = (Position(2), Position(1), Token(2));
    assert_eq!(refused, Err(AppendError::Fenced { expected, tail, token }));
    write(&*journal, &mut owner, "theirs").await;
    owner.token = Token(9);
    let refused = journal.append(frame(&owner, "from nowhere", Vec::new())).await;
    assert!(matches!(refused, Err(AppendError::Fenced { .. })), "a token nobody was given");
    assert_eq!(texts(&journal, log(1)).await, ["mine", "theirs"]);
}

pub(super) async fn a_frame_out_of_place_is_fenced(journal: Subject) {
    let mut writer = claim(&*journal, log(1)).await;
    write(&*journal, &mut writer, "one").await;
    write(&*journal, &mut writer, "two").await;
    for stands_at in [0, 1, 3, 70] {
        let wrong = Writer { tail: Position(stands_at), ..writer.clone() };
        let refused = journal.append(frame(&wrong, "out of place", Vec::new())).await;
        let (expected, tail, token) = (Position(stands_at + 1), Position(2), Token(1));
        assert_eq!(refused, Err(AppendError::Fenced { expected, tail, token }));
    }
    write(&*journal, &mut writer, "three").await;
    assert_eq!(texts(&journal, log(1)).await, ["one", "two", "three"]);
}

pub(super) async fn a_fenced_frame_takes_no_neighbour_with_it(journal: Subject) {
    let mut appends = Vec::new();
    for n in 0..64 {
        let mut writer = claim(&*journal, log(n)).await;
        if n % 3 == 0 {
            writer.tail = Position(5);
        }
        appends.push(journal.append(frame(&writer, &format!("of {n}"), Vec::new())));
    }
    for (n, done) in (0..64_u128).zip(join_all(appends).await) {
        assert_eq!(done.is_err(), n % 3 == 0, "frame {n}: {done:?}");
        let expected = if n % 3 == 0 { vec![] } else { vec![format!("of {n}")] };
        assert_eq!(texts(&journal, log(n)).await, expected);
    }
}

pub(super) async fn of_two_owners_writing_at_once_only_one_gets_through(journal: Subject) {
    let former = claim(&*journal, log(1)).await;
    let owner = claim(&*journal, log(1)).await;
    let both = [frame(&former, "former", Vec::new()), frame(&owner, "owner", Vec::new())];
    let done = join_all(both.map(|append| journal.append(append))).await;
    assert!(matches!(done.as_slice(), [Err(AppendError::Fenced { .. }), Ok(Position(1))]));
    let rivals = (0..32).map(|n| {
        let rival = Writer { tail: Position(1), ..owner.clone() };
        journal.append(frame(&rival, &format!("rival {n}"), Vec::new()))
    });
    let won = join_all(rivals).await.iter().filter(|done| done.is_ok()).count();
    assert_eq!(won, 1, "a position is given once");
    assert_eq!(texts(&journal, log(1)).await.len(), 2);
}

pub(super) async fn many_logs_written_at_once_have_no_gaps(journal: Subject) {
    const LOGS: u128 = 100;
    const FRAMES: usize = 20;
    let write_one = |n| {
        let journal = Arc::clone(&journal);
        async move {
            let mut writer = claim(&*journal, log(n)).await;
            for at in 0..FRAMES {
                write(&*journal, &mut writer, &format!("{n}/{at}")).await;
            }
        }
    };
    join_all((0..LOGS).map(write_one)).await;
    for n in 0..LOGS {
        let expected: Vec<_> = (0..FRAMES).map(|at| format!("{n}/{at}")).collect();
        assert_eq!(texts(&journal, log(n)).await, expected);
        assert_eq!(journal.tail(log(n)).await, Ok((Position(FRAMES as u64), Token(1))));
    }
}

pub(super) async fn pages_join_without_gap_or_overlap(journal: Subject) {
    let mut writer = claim(&*journal, log(1)).await;
    for at in 1..=25 {
        write(&*journal, &mut writer, &at.to_string()).await;
    }
    for page in [1, 2, 7, 25, 26] {
        let (mut after, mut seen) = (Position(0), Vec::new());
        loop {
            let frames = journal.read(log(1), after, page).await.expect("read");
            assert!(frames.len() <= page);
            let Some(last) = frames.last() else { break };
            after = last.envelope.position;
            seen.extend(frames.iter().map(|frame| frame.envelope.position.0));
        }
        assert_eq!(seen, (1..=25).collect::<Vec<_>>(), "in pages of {page}");
    }
    assert_eq!(journal.read(log(1), Position(25), 5).await, Ok(Vec::new()));
    assert_eq!(journal.read(log(1), Position(u64::MAX), 5).await, Ok(Vec::new()));
    assert_eq!(journal.read(log(1), Position(0), 0).await, Ok(Vec::new()));
}

pub(super) async fn a_page_of_large_frames_is_bounded_by_their_bytes(journal: Subject) {
    let mut writer = claim(&*journal, log(1)).await;
    // Nearly as large as an event may be, and more of them than a page holds.
    let large = "x".repeat(limits::EVENT_BYTES - 1_024);
    let frames = limits::READ_BYTES / large.len() + 3;
    for _ in 0..frames {
        write(&*journal, &mut writer, &large).await;
    }
    let (mut after, mut seen) = (Position(0), 0);
    loop {
        let page = journal.read(log(1), after, frames + 1).await.expect("read");
        let bytes: usize = page.iter().map(|frame| frame.body.len()).sum();
        assert!(bytes <= limits::READ_BYTES, "a page of {bytes} bytes");
        let Some(last) = page.last() else { break };
        (after, seen) = (last.envelope.position, seen + page.len());
        assert!(seen == frames || bytes + large.len() + 1_024 > limits::READ_BYTES, "half empty");
    }
    assert_eq!(seen, frames);
    assert_eq!(texts(&journal, log(1)).await.len(), frames, "readers of logs go on to the end");
}

pub(super) async fn kinds_of_logs_do_not_mix(journal: Subject) {
    let same = session(4);
    let job = LogId::job(JobId(same.0));
    let logs = [LogId::session(same), LogId::ledger(same), LogId::HOUSE, job];
    let mut kinds = BTreeSet::new();
    for log in logs {
        kinds.insert(log.kind);
        let mut writer = claim(&*journal, log).await;
        assert_eq!((writer.token, writer.tail), (Token(1), Position(0)));
        write(&*journal, &mut writer, &log.to_string()).await;
    }
    assert_eq!(
        kinds.len(),
        [LogKind::Session, LogKind::Ledger, LogKind::House, LogKind::Job].len()
    );
    for log in logs {
        assert_eq!(texts(&journal, log).await, [log.to_string()]);
    }
}

pub(super) async fn an_append_whose_caller_left_is_written_whole_or_not_at_all(journal: Subject) {
    let mut writer = claim(&*journal, log(1)).await;
    // Asked once and dropped: it may or may not have been taken.
    drop(poll_immediate(journal.append(frame(&writer, "left alone", Vec::new()))).await);
    let claim = journal.claim(log(1)).await.expect("claim");
    writer = Writer::new(log(1), claim, "t".into(), "p".into());
    let texts = texts(&journal, log(1)).await;
    assert_eq!(texts.len() as u64, claim.tail.0, "a claim comes after what was taken before it");
    write(&*journal, &mut writer, "after").await;
}
