/** Crontabs of real machines become the right tasks, under ids that stay; wrong ones are refused as a whole. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ReadOptions, readCrontab } from "../../../src/cli/crontab/read-crontab.ts";
import { WrongFile } from "../../../src/cli/declared.ts";
import { Users } from "../../../src/cli/users.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "azoth-crontab-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const root = { name: "root", uid: 0, gid: 0, home: "/root" };
const ann = { name: "ann", uid: 1000, gid: 1000, home: "/home/ann" };
const web = { name: "www-data", uid: 33, gid: 33, home: "/var/www" };
const asRoot = new Users(root, [ann, web]);
const asAnn = new Users(ann, [root, web]);

function read(text: string, options: Partial<ReadOptions> = {}) {
  const file = join(directory, "crontab");
  writeFileSync(file, text);
  const defaults = { form: undefined, timeZone: "Europe/Berlin", tz: undefined, cwd: undefined, preserveEnv: false };
  return readCrontab(file, { users: asRoot, ...defaults, ...options }).tasks;
}

const ids = (text: string) => read(text).map(({ request }) => request.taskId);

/** /etc/crontab as Debian 12 installs it. */
const debian = `# /etc/crontab: system-wide crontab
# Unlike any other crontab you don't have to run the \`crontab'
# command to install the new version when you edit this file
# and files in /etc/cron.d. These files also have username fields,
# that none of the other crontabs do.

SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin

# Example of job definition:
# .---------------- minute (0 - 59)
# |  .------------- hour (0 - 23)
# |  |  .---------- day of month (1 - 31)
# |  |  |  .------- month (1 - 12) OR jan,feb,mar,apr ...
# |  |  |  |  .---- day of week (0 - 6) (Sunday=0 or 7) OR sun,mon,tue,wed,thu,fri,sat
# |  |  |  |  |
# *  *  *  *  * user-name command to be executed
17 *\t* * *\troot\tcd / && run-parts --report /etc/cron.hourly
25 6\t* * *\troot\ttest -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }
47 6\t* * 7\troot\ttest -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.weekly; }
52 6\t1 * *\troot\ttest -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.monthly; }
#
`;

/** Files of /etc/cron.d, as packages of Debian install them. */
const packages = {
  e2scrub_all: `30 3 * * 0 root test -e /run/systemd/system || SERVICE_MODE=1 /usr/lib/x86_64-linux-gnu/e2fsprogs/e2scrub_all_cron
10 3 * * * root test -e /run/systemd/system || SERVICE_MODE=1 /sbin/e2scrub_all -A -r
`,
  php: `# Look for and purge old sessions every 30 minutes
09,39 *     * * *     root   [ -x /usr/lib/php/sessionclean ] && if [ ! -d /run/systemd/system ]; then /usr/lib/php/sessionclean; fi
`,
  sysstat: `# The first element of the path is a directory where the debian-sa1 script is located
PATH=/usr/lib/sysstat:/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin

5-55/10 * * * * root command -v debian-sa1 > /dev/null && debian-sa1 1 1
59 23 * * * root command -v debian-sa1 > /dev/null && debian-sa1 60 2
`,
  certbot: `SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin
0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && perl -e 'sleep int(rand(43200))' && certbot -q renew --no-random-sleep-on-renew
`,
  mdadm: `57 0 * * 0 root if [ -x /usr/share/mdadm/checkarray ] && [ $(date +\\%d) -le 7 ]; then /usr/share/mdadm/checkarray --cron --all --idle --quiet; fi
`,
};

describe("Debian's own", () => {
  test("/etc/crontab is seen to name users, wherever it lies", () => {
    const tasks = read(debian);
    expect(tasks.map(({ request }) => request.schedule)).toEqual(
      ["17 * * * *", "25 6 * * *", "47 6 * * 7", "52 6 1 * *"].map((expression) => {
        return { kind: "cron", expression, timeZone: "Europe/Berlin" };
      }),
    );
    expect(tasks[0]?.request).toMatchObject({
      taskId: expect.stringMatching(/^cron\.hourly-[0-9a-f]{8}$/) as string,
      taskType: "shell",
      maxRetries: 1,
      payload: {
        command: "cd / && run-parts --report /etc/cron.hourly",
        shell: "/bin/sh",
        cwd: "/root",
        user: "root",
        inheritEnv: false,
        env: {
          SHELL: "/bin/sh",
          PATH: "/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin",
          HOME: "/root",
          LOGNAME: "root",
          USER: "root",
        },
      },
    });
  });

  test("directory /etc/cron.d is read as cron reads it", () => {
    const place = join(directory, "cron.d");
    mkdirSync(place);
    for (const [name, text] of Object.entries(packages)) writeFileSync(join(place, name), text);
    for (const name of [".placeholder", "php.dpkg-old", "php~"]) writeFileSync(join(place, name), "not a crontab");
    const options = {
      users: asRoot,
      form: undefined,
      timeZone: "UTC",
      tz: undefined,
      cwd: undefined,
      preserveEnv: false,
    };
    const { tasks } = readCrontab(place, options);
    expect(tasks.map(({ request }) => request.taskId.replace(/-[0-9a-f]{8}$/, ""))).toEqual(
      "perl e2scrub_all_cron e2scrub_all checkarray sessionclean debian-sa1 debian-sa1".split(" "),
    );
    expect(tasks[3]?.request.payload).toMatchObject({ command: expect.stringContaining("date +%d") as string });
  });
});

describe("a job of nobody in particular", () => {
  test("is run by who runs the daemon, in the environment that cron gives", () => {
    const [task] = read("A=1\nHOME=/srv\nLOGNAME=root\n@daily x", { users: asAnn });
    expect(task?.request.payload).toEqual({
      command: "x",
      shell: "/bin/sh",
      cwd: "/srv",
      inheritEnv: false,
      env: { A: "1", SHELL: "/bin/sh", HOME: "/srv", PATH: "/usr/bin:/bin", LOGNAME: "ann", USER: "ann" },
    });
  });

  test("gets the daemon's environment, zone and directory if that is wanted", () => {
    const [task] = read("@daily x", { users: asAnn, preserveEnv: true, tz: "Asia/Tokyo", cwd: "/data" });
    expect(task?.request.payload).toMatchObject({ cwd: "/data", inheritEnv: true, env: { TZ: "Asia/Tokyo" } });
    expect(task?.request.payload).not.toHaveProperty("env.PATH");
  });
});

describe("ids", () => {
  const text = "0 1 * * * a.sh\n0 2 * * * b.sh\n0 2 * * * b.sh\n@reboot c.sh";

  test("are of what a line does and when, and not of where it stands", () => {
    const [a, b, again, c] = ids(text);
    expect(again).toBe(`${b}-2`);
    const shuffled = "# new\n@reboot   c.sh\n\nX=1\n0\t2 * * * b.sh\n\n0 2 * * * b.sh\n# why\n0 1 * * * a.sh # \n";
    expect(ids(shuffled).slice(0, 3)).toEqual([c, b, again]);
    expect(ids("0 1 * * * a.sh")).toEqual([a]);
    expect(ids("0 1 * * * a.sh -v")).not.toContain(a);
    expect(ids("1 1 * * * a.sh")).not.toContain(a);
    expect(ids("CRON_TZ=UTC\n0 1 * * * a.sh")).not.toContain(a);
  });

  test("can be given in a comment, and are not given to another line then", () => {
    const [b] = ids("0 2 * * * b.sh");
    expect(ids(`# azoth: id=${b}\n@daily x\n0 2 * * * b.sh`)).toEqual([b, `${b}-2`]);
  });
});

describe("users", () => {
  test("whom the daemon cannot be are refused before anything runs, in their place", () => {
    const text = "@daily root a\n@daily www-data b\n@daily nobody-here c\n* * * * 9 root d";
    const complaintsOf = (users: Users) => {
      try {
        return read(text, { users });
      } catch (error) {
        return (error as WrongFile).complaints.map((complaint) => complaint.replace(/^.*crontab:/, ""));
      }
    };
    expect(complaintsOf(asRoot)).toEqual([
      '3:8: there is no user "nobody-here" on this machine',
      expect.stringMatching(/^4:9: The day-of-week field has "9"/),
    ]);
    expect(complaintsOf(asAnn).slice(0, 2)).toEqual([
      "1:8: the daemon runs as ann, and only root can run commands as root",
      "2:8: the daemon runs as ann, and only root can run commands as www-data",
    ]);
  });

  test("are numbers for who runs as root, and nothing for who is the user", () => {
    expect(asRoot.identityOf("ann")).toEqual({ uid: 1000, gid: 1000 });
    expect(asAnn.identityOf("ann")).toBeUndefined();
    expect(() => asAnn.identityOf("root")).toThrow("only root");
  });
});

test("a wrong crontab is refused as a whole, and nothing of it drives a terminal", () => {
  expect(() => read("@daily x\n61 * * * * \u001b[31mx\n@\u001b[2J x")).toThrow(WrongFile);
  try {
    read("@daily x\n@\u001b[2J x");
  } catch (error) {
    expect((error as WrongFile).complaints.join("")).not.toContain("\u001b");
  }
});
