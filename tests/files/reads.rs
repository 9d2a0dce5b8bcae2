//! What a model reads of a file.

use std::fs;

use greenroom_actors::limits;
use serde_json::json;

use crate::stage::Stage;

#[tokio::test]
async fn lines_come_with_their_numbers_and_a_range_says_where_it_goes_on() {
    let stage = Stage::new();
    stage.put("poem.txt", "one\r\ntwo\n\nfour");
    let all = stage.done("read_file", json!({"path": "poem.txt"})).await;
    assert_eq!(all, "1\tone\n2\ttwo\n3\t\n4\tfour");
    let part = json!({"path": "poem.txt", "from_line": 2, "lines": 2});
    let part = stage.done("read_file", part).await;
    assert_eq!(part, "2\ttwo\n3\t\n[4 lines in all; go on with from_line 4]");
    let behind = stage.refused("read_file", json!({"path": "poem.txt", "from_line": 9})).await;
    assert_eq!(behind, "poem.txt has 4 lines; from_line is 9");
    stage.put("empty", "");
    assert_eq!(stage.done("read_file", json!({"path": "empty"})).await, "[empty is empty]");
}

#[tokio::test]
async fn a_long_file_is_read_to_its_end_in_answers_that_are_not_cut() {
    let stage = Stage::new();
    let lines: Vec<String> =
        (1..=5_000).map(|no| format!("line {no} {}", "x".repeat(no % 90))).collect();
    stage.put("long", lines.join("\n"));
    let (mut from, mut read) = (1, Vec::new());
    loop {
        let answer = stage.done("read_file", json!({"path": "long", "from_line": from})).await;
        assert!(answer.len() <= limits::INLINE_BYTES, "{} bytes", answer.len());
        let texts = answer.lines().filter_map(|line| line.split_once('\t'));
        read.extend(texts.map(|(_, text)| text.to_owned()));
        match answer.rsplit_once("go on with from_line ") {
            Some((_, next)) => from = next.trim_end_matches(']').parse().unwrap(),
            None => break,
        }
    }
    assert_eq!(read, lines);
}

#[tokio::test]
async fn a_line_that_is_longer_than_an_answer_is_cut_and_says_so() {
    let stage = Stage::new();
    stage.put("wide", format!("{}\nnext", "ä".repeat(1_000_000)));
    let answer = stage.done("read_file", json!({"path": "wide"})).await;
    assert!(answer.contains("… [the line has 2000001 bytes]\n2\tnext"), "{}", answer.len());
    assert!(answer.len() < limits::INLINE_BYTES);
}

#[tokio::test]
async fn what_is_no_text_or_too_large_is_refused_and_odd_characters_are_written_out() {
    let stage = Stage::new();
    stage.put("picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let said = stage.refused("read_file", json!({"path": "picture"})).await;
    assert_eq!(said, "picture is no text: it has NUL bytes; only text is read");
    stage.put("odd", b"\x1b[31mred\x1b[0m\ncaf\xe9\n\xe2\x80\xaedrow\n");
    let answer = stage.done("read_file", json!({"path": "odd"})).await;
    assert_eq!(
        answer,
        "1\t\\u{1b}[31mred\\u{1b}[0m\n2\tcaf\u{fffd}\n3\t\\u{202e}drow\n[characters that cannot be \
         seen are shown as \\u{…}, bytes that are no UTF-8 as \u{fffd}]"
    );
    fs::File::create(stage.at("sparse")).unwrap().set_len(100 << 30).unwrap();
    let said = stage.refused("read_file", json!({"path": "sparse"})).await;
    assert!(said.contains("has 107374182400 bytes, 67108864 are the most"), "{said}");
}

#[tokio::test]
async fn a_file_that_is_missing_names_the_one_that_was_meant() {
    let stage = Stage::new();
    stage.put("src/lib.rs", "");
    let said = stage.refused("read_file", json!({"path": "src/libs.rs"})).await;
    assert_eq!(said, "src/libs.rs does not exist; did you mean src/lib.rs?");
    let said = stage.refused("read_file", json!({"path": "source/lib.rs"})).await;
    assert_eq!(said, "source/lib.rs does not exist; nor does source");
    let said = stage.refused("read_file", json!({"path": "src/lib.rs/x"})).await;
    assert!(said.contains("is no folder, or something above it is none"), "{said}");
    let said = stage.refused("list_files", json!({"path": "src/lib.rs"})).await;
    assert!(said.contains("is no folder"), "{said}");
}
