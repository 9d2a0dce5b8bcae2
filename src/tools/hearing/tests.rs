//! However a pipe's bytes come in pieces, what is heard is the same; and no secret is in it.

use proptest::prelude::*;

use super::*;

const SECRET: &str = "sk-canary-7Qx9/Zp+04";

fn hearing(folder: &Path) -> Hearing {
    let secrets = Secrets::default();
    secrets.learn(SECRET);
    Hearing { secrets, folder: Some(folder.to_owned()) }
}

fn hear<'a>(hearing: &Hearing, pieces: impl IntoIterator<Item = &'a [u8]>) -> Heard {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut ear = Ear::new(hearing);
        for piece in pieces {
            ear.take(piece).await;
        }
        ear.end().await
    })
}

fn whole(heard: &Heard) -> (String, u64) {
    let mut whole = Whole::default();
    let over = heard.whole(&mut whole);
    let mut bytes = vec![0; whole.bytes() as usize];
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + 60_001);
        at += whole.read(at as u64, &mut bytes[at..end]).unwrap();
    }
    (String::from_utf8(bytes).unwrap(), over)
}

#[test]
fn a_secret_is_masked_across_every_border_of_pieces_and_at_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let hearing = hearing(folder.path());
    let pad = limits::TOOL_OUTPUT_BYTES - SECRET.len() / 2;
    // One over the end of the head, one over the beginning of the tail.
    let text =
        format!("{}{SECRET}{}{SECRET}{}", "a".repeat(pad), "b".repeat(300_000), "c".repeat(pad));
    for at in [1, 7, 4_096, 65_536, pad + 3] {
        let heard = hear(&hearing, text.as_bytes().chunks(at));
        let (all, shown) = (whole(&heard).0, heard.shown());
        assert_eq!(all.matches("[redacted]").count(), 2, "pieces of {at}");
        for part in ["sk-canary", "canary-7", "Zp+04"] {
            assert!(!all.contains(part) && !shown.contains(part), "{part} in pieces of {at}");
        }
    }
    // Colours amid a secret hide it no more than a border does.
    let coloured = format!("{0}sk-can\u{1b}[1mary-7Qx9/Zp+04 {0}", "x".repeat(200_000));
    for at in [9, 4_096, 200_006, 200_008] {
        let heard = hear(&hearing, coloured.as_bytes().chunks(at));
        assert!(!whole(&heard).0.contains("7Qx9") && !heard.shown().contains("7Qx9"), "{at}");
    }
}

#[test]
fn a_short_output_touches_no_disk_and_a_folder_that_is_gone_costs_the_whole_alone() {
    let gone = hearing(Path::new("/nowhere/at/all"));
    let heard = hear(&gone, [&b"short"[..]]);
    assert_eq!((heard.shown().as_str(), heard.lost()), ("short", None));
    let long = vec![b'x'; 3 * limits::TOOL_OUTPUT_BYTES];
    let heard = hear(&gone, long.chunks(9_000));
    assert!(heard.lost().unwrap().contains("No such file"), "{:?}", heard.lost());
    assert_eq!(heard.missing() as usize, limits::TOOL_OUTPUT_BYTES);
}

#[test]
fn what_is_too_much_for_the_file_is_counted_and_the_end_is_still_there() {
    let folder = tempfile::tempdir().unwrap();
    let line = vec![b'x'; 1 << 20];
    let many = limits::TOOL_KEPT_BYTES as usize / line.len() + 3;
    let pieces = (0..many).map(|_| &line[..]).chain([&b"the end"[..]]);
    let (text, over) = whole(&hear(&hearing(folder.path()), pieces));
    let kept = text.bytes().filter(|byte| *byte == b'x').count() as u64;
    assert_eq!(kept + over, (many * line.len()) as u64, "kept and counted is all");
    assert!(text.ends_with("the end") && over > 0, "{over}");
    assert!(text.len() < limits::BLOB_BYTES / 2, "{}", text.len());
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "it has no name");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_it_is_cut_the_whole_is_the_plain_text(
        words in prop::collection::vec(prop::sample::select(vec!["a", "ü", "日", "🎭", "\r\n", "\r", "\u{1b}[31m", "\n"]), 0..40),
        times in prop::sample::select(vec![1_usize, 3_000]),
        size in 1_usize..70_000,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let text = words.concat().repeat(times);
        // A read gives a byte or a pipe's content; a million reads of one byte are no other case.
        let size = size.max(text.len() / 400);
        let heard = hear(&hearing(folder.path()), text.as_bytes().chunks(size));
        prop_assert_eq!(whole(&heard), (plain(&text), 0));
    }

    #[test]
    fn bytes_that_are_no_text_become_what_they_become_at_once(
        bytes in prop::collection::vec(any::<u8>(), 0..400), size in 1_usize..9,
    ) {
        let hearing = Hearing::default();
        let heard = hear(&hearing, bytes.chunks(size));
        prop_assert_eq!(heard.shown(), plain(&String::from_utf8_lossy(&bytes)));
    }
}
