// One run of a lane: what is seen is said line by line, and whether all of it was. It begins what the
// words ask for: the clicks of a person, or a full house.

const [program, ...words] = process.argv.slice(2);
let failed = 0;

function is(what, truth) {
  console.log(`${truth ? "ok  " : "FAIL"} ${what}`);
  if (!truth) failed += 1;
}

const lane =
  words[0] === "--many"
    ? require("./many.cjs").main(program, Number(words[1] ?? 10_000), is)
    : require("./clicks.cjs").main(program, words[0], is);

lane
  .catch((error) => is(`it came to the end: ${error.message}`, false))
  .finally(() => {
    console.log(failed ? `${failed} failed` : "the page: all seen");
    process.exit(failed ? 1 : 0);
  });
