/** Crontabs are read as cron reads them; what is wrong is told with its place; and nothing that comes in crashes the reader. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCrontab } from "../../../src/cli/crontab/parse-crontab.ts";

const numRuns = 100;

/** A crontab of one job. */
function only(text: string, form: "user" | "system" = "user") {
  const { jobs, problems } = parseCrontab(text, form);
  expect(problems).toEqual([]);
  expect(jobs).toHaveLength(1);
  return jobs[0];
}

const complaints = (text: string, form: "user" | "system" = "user") =>
  parseCrontab(text, form).problems.map(({ line, column, message }) => `${line}:${column}: ${message}`);

describe("a line", () => {
  test.each([
    ["5 4 * * * echo hi", "5 4 * * *", "echo hi"],
    ["\t*/5\t1-3,7 * jan-mar MON-FRI  echo  two  blanks ", "*/5 1-3,7 * jan-mar MON-FRI", "echo  two  blanks "],
    ["30 5 4 * * 1-5 echo with seconds", "30 5 4 * * 1-5", "echo with seconds"],
    ["30 5 4 * * fri#2 echo", "30 5 4 * * fri#2", "echo"],
    ["@Daily backup", "@daily", "backup"],
    ["@reboot start me", "@reboot", "start me"],
    ["-*/15 * * * * quiet", "*/15 * * * *", "quiet"],
    ["1 2 3 4 5 7z a b", "1 2 3 4 5", "7z a b"],
    ["1 2 3 4 5 # no comment", "1 2 3 4 5", "# no comment"],
    ["\ufeff1 2 3 4 5 x\r", "1 2 3 4 5", "x"],
  ])("%j", (line, expression, command) => {
    expect(only(line)).toMatchObject({ line: 1, expression, command });
  });

  test("of a system names the user before the command", () => {
    const job = only("17 *\t* * *\troot    cd / && run-parts --report /etc/cron.hourly", "system");
    expect(job).toMatchObject({
      expression: "17 * * * *",
      user: { name: "root", column: 12 },
      command: "cd / && run-parts --report /etc/cron.hourly",
    });
    expect(only("@reboot www-data serve", "system")).toMatchObject({ user: { name: "www-data" }, command: "serve" });
  });

  test("has its input after the first percent sign", () => {
    expect(only("* * * * * cat%a%b")).toMatchObject({ command: "cat", input: "a\nb\n" });
    expect(only("* * * * * cat %")).toMatchObject({ command: "cat", input: "" });
    expect(only(String.raw`* * * * * date +\%F > 100\% \x`)).toMatchObject({ command: String.raw`date +%F > 100% \x` });
    expect(only(String.raw`* * * * * date +\%F`)).not.toHaveProperty("input");
  });
});

describe("variables", () => {
  test("are set as they are written, for the lines below", () => {
    const { jobs, problems } = parseCrontab(
      `@daily one
A=1
 B = " x y "
'C' = 'it"s'
D=$A \${B} # no comment
E=
F="open
A=2
@daily two`,
      "user",
    );
    expect(problems).toEqual([]);
    expect(jobs.map(({ environment }) => environment)).toEqual([
      {},
      { A: "2", B: " x y ", C: 'it"s', D: "$A ${B} # no comment", E: "", F: '"open' },
    ]);
  });

  test("CRON_TZ is the zone of the schedules below it, TZ that of the commands only", () => {
    const text = "@daily a\nCRON_TZ=Europe/Rome\n@daily b\nTZ=Asia/Tokyo\nCRON_TZ=UTC\n@daily c";
    const { jobs, notes } = parseCrontab(text, "user");
    expect(jobs.map(({ timeZone }) => timeZone)).toEqual([undefined, "Europe/Rome", "UTC"]);
    expect(jobs[2]?.environment).toEqual({ CRON_TZ: "UTC", TZ: "Asia/Tokyo" });
    expect(notes).toMatchObject([{ line: 4, column: 1 }]);
  });

  test("MAILTO is accepted, with a remark if somebody expects mail", () => {
    expect(parseCrontab('MAILTO=""\n@daily a', "user").notes).toEqual([]);
    expect(parseCrontab("MAILTO=me\n@daily a", "user")).toMatchObject({ notes: [{ line: 1 }], problems: [] });
  });
});

test("a comment can say what cron does not know, for the next line only", () => {
  const text = "# azoth: id=backup attempts=3 timeout=2h\n\n# why\n@daily a\n@daily b";
  expect(parseCrontab(text, "user").jobs.map(({ wishes }) => wishes)).toEqual([
    { id: "backup", attempts: 3, timeoutMs: 7_200_000 },
    {},
  ]);
});

test("every mistake is told, with its place and what would be right", () => {
  const text = `# a comment
61 * * * * x
 * 25 * * 9 x
* * * *
A-B=1
CRON_TZ = Mars/Base
@fortnightly x
0 0 31 2 * x
* * * * *
1 2 3 4 5 %foo
# azoth: attempts=0 colour=red
0~30 * * * * x
RANDOM_DELAY=30
* * * * * -n x
* * * * * \0`;
  const found = complaints(text);
  expect(found.map((complaint) => complaint.replace(/(^\d+:\d+).*/, "$1"))).toEqual(
    "2:1 3:4 3:11 4:1 5:1 6:11 7:1 8:1 9:10 10:11 11:10 11:21 12:1 13:1 14:11 15:11".split(" "),
  );
  expect(found[0]).toContain('The minute field has "61": it is out of range; allowed is 0-59');
  expect(found[2]).toContain("allowed is 0-7, SUN-SAT");
  expect(found[3]).toContain("minute hour day-of-month month day-of-week command");
  expect(found[6]).toContain("@hourly, @reboot");
  expect(complaints("* * * * *  root ", "system")).toEqual([
    "1:16: the user and the command of the line is missing after the schedule",
  ]);
});

const field = (from: number, to: number) =>
  fc.oneof(
    fc.constant("*"),
    fc.integer({ min: from, max: to }).map(String),
    fc.integer({ min: 1, max: to }).map((step) => `*/${step}`),
    fc.tuple(fc.integer({ min: from, max: to }), fc.integer({ min: from, max: to })).map((ends) => {
      const [low = from, high = to] = ends.toSorted((one, other) => one - other);
      return `${low}-${high}`;
    }),
  );

const word = fc.stringMatching(/^[a-zA-Z/._\\%"'$|;&>~][\x20-\x7e]{0,20}$/).filter((text) => text.trim() !== "");
const blanks = fc.constantFrom(" ", "  ", "\t", " \t ");

interface Written {
  readonly expression: string;
  readonly command: string;
  readonly input?: string;
  readonly environment: Record<string, string>;
}

/** The text of a crontab, as a careful person would write it. */
function write(jobs: readonly Written[], blank: string): string {
  const escape = (text: string) => text.replaceAll("%", "\\%");
  return jobs
    .map(({ expression, command, input, environment }) => {
      const variables = Object.entries(environment).map(([name, value]) => `${name}${blank}=${blank}"${value}"\n`);
      const rest = input === undefined ? "" : `%${escape(input.slice(0, -1)).replaceAll("\n", "%")}`;
      return `${variables.join("")}# ${command}\n${expression.replaceAll(" ", blank)}${blank}${escape(command)}${rest}\n`;
    })
    .join("\n");
}

test("what is written is read again", () => {
  const expression = fc
    .tuple(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6))
    .map((fields) => fields.join(" "));
  const command = word.filter((text) => !text.includes("\\") && text.trimEnd() === text && !text.startsWith("@"));
  const line = fc.stringMatching(/^[\x20-\x5b\x5d-\x7e]{0,10}$/);
  const job = fc.record(
    {
      expression,
      command,
      input: fc
        .tuple(
          fc.array(line, { maxLength: 2 }),
          line.filter((last) => last !== ""),
        )
        .map(([first, last]) => [...first, last])
        .map((lines) => `${lines.join("\n")}\n`),
      environment: fc.dictionary(fc.stringMatching(/^[A-S][A-Z0-9_]{0,5}$/), fc.stringMatching(/^[\x20-\x7e]{0,9}$/), {
        maxKeys: 2,
      }),
    },
    { requiredKeys: ["expression", "command", "environment"] },
  );
  const property = fc.property(fc.array(job, { minLength: 1, maxLength: 4 }), blanks, (written, blank) => {
    const { jobs, problems } = parseCrontab(write(written, blank), "user");
    expect(problems).toEqual([]);
    let environment = {};
    const expected = written.map((one) => {
      environment = { ...environment, ...one.environment };
      return { ...one, environment };
    });
    expect(jobs).toMatchObject(expected);
    expect(jobs.map(({ input }) => input)).toEqual(written.map(({ input }) => input));
    expect(jobs.map(({ environment }) => environment)).toEqual(expected.map(({ environment }) => environment));
  });
  fc.assert(property, { numRuns });
});

test("garbage is refused line by line, with places that exist, and never crashes", () => {
  const piece = fc.oneof(
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.constantFrom(
      "*",
      "*/5",
      "@daily",
      "@",
      "%",
      "\\%",
      "=",
      '"',
      "'",
      "#",
      "# azoth: ",
      "-",
      "1-5",
      "root",
      "\n",
      " ",
      "CRON_TZ=",
    ),
  );
  const property = fc.property(
    fc.array(piece, { maxLength: 40 }),
    fc.constantFrom("", " "),
    fc.constantFrom("user" as const, "system" as const),
    (pieces, glue, form) => {
      const text = pieces.join(glue);
      const lines = text.replace(/^\ufeff/, "").split("\n");
      const { jobs, problems } = parseCrontab(text, form);
      for (const { line, column, message } of problems) {
        expect(lines[line - 1]).toBeDefined();
        expect(column).toBeGreaterThan(0);
        expect(column).toBeLessThanOrEqual((lines[line - 1] ?? "").length + 1);
        expect(message.length).toBeLessThan(400);
      }
      for (const { command } of jobs) expect(command).not.toBe("");
    },
  );
  fc.assert(property, { numRuns: 2 * numRuns });
});
