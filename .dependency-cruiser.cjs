/**
 * The direction of imports, as rules. `npm run check` and test/architecture.test.ts hold src to them.
 *
 *     cli, http -> index -> scheduler, subscriptions -> store -> tasks -> schedule -> the bottom layer
 *     engines   -> store/engine.ts, the bottom layer, and the types of tasks
 *
 * The bottom layer is telemetry/ and every file directly in src/ except index.ts.
 */
const index = "^src/index\\.ts$";
const bottom = ["^src/telemetry/", "^src/(?!index\\.)[^/]+\\.ts$"];
const openStore = "^src/store/open\\.ts$";
const engineInterface = "^src/store/engine\\.ts$";

/** A folder of src may import itself, the bottom layer and the folders named; packages have rules of their own. */
const mayImport = (folder, others, comment) => ({
  name: `${folder}-imports`,
  severity: "error",
  comment,
  from: { path: `^src/${folder}/` },
  to: { path: "^src/", pathNot: [`^src/${folder}/`, ...bottom, ...others] },
});

const rules = [
  {
    name: "no-cycles",
    severity: "error",
    comment: "Modules that import each other cannot be understood, tested or loaded one at a time.",
    from: {},
    to: { circular: true },
  },
  {
    name: "bottom-imports",
    severity: "error",
    comment: "The bottom layer (telemetry, clock, random, errors, duration, codec) knows nothing above it.",
    from: { path: bottom },
    to: { path: "^src/", pathNot: bottom },
  },
  mayImport("schedule", [], "Schedules are pure: they see the bottom layer only."),
  mayImport(
    "tasks",
    ["^src/schedule/"],
    "The task's state machine is pure: it sees schedules and the bottom layer only.",
  ),
  {
    name: "store-imports",
    severity: "error",
    comment: "The store knows tasks and schedules, never who uses it; only store/open.ts knows the engines.",
    from: { path: "^src/store/" },
    to: { path: "^src/", pathNot: ["^src/(store|tasks|schedule|engines)/", ...bottom] },
  },
  mayImport(
    "scheduler",
    ["^src/(subscriptions|store|tasks|schedule)/"],
    "The runtime sees the layers below it; engines it sees only through the store's interface.",
  ),
  mayImport(
    "subscriptions",
    ["^src/(scheduler|store|tasks|schedule)/"],
    "Subscriptions see the layers below them; engines they see only through the store's interface.",
  ),
  mayImport("cli", [index], "The command line sees what a user sees: src/index.ts."),
  mayImport("http", [index], "The HTTP side sees what a user sees: src/index.ts."),
  {
    name: "index-is-the-top",
    severity: "error",
    comment: "Only the command line and HTTP stand above src/index.ts.",
    from: { path: "^src/", pathNot: "^src/(cli|http)/" },
    to: { path: index },
  },
  {
    name: "engine-imports",
    severity: "error",
    comment: "An engine sees the engine interface, the bottom layer and the types of tasks.",
    from: { path: "^src/engines/" },
    to: { path: "^src/", pathNot: ["^src/engines/", "^src/tasks/", engineInterface, ...bottom] },
  },
  {
    name: "engine-imports-tasks-as-types",
    severity: "error",
    comment: "Engines hold no rules: from tasks they take types, never functions.",
    from: { path: "^src/engines/" },
    to: { path: "^src/tasks/", dependencyTypesNot: ["type-only"] },
  },
  {
    name: "engines-do-not-know-each-other",
    severity: "error",
    comment: "Whoever uses one database never loads the other.",
    from: { path: "^src/engines/([^/]+)/" },
    to: { path: "^src/engines/[^/]+/", pathNot: "^src/engines/$1/" },
  },
  {
    name: "engines-only-through-open",
    severity: "error",
    comment: "Only store/open.ts loads an engine.",
    from: { path: "^src/", pathNot: ["^src/engines/", openStore] },
    to: { path: "^src/engines/" },
  },
  {
    name: "engines-are-loaded-lazily",
    severity: "error",
    comment: "store/open.ts loads an engine with import(), so that the other one is never loaded.",
    from: { path: openStore },
    to: { path: "^src/engines/", dynamic: false, dependencyTypesNot: ["type-only"] },
  },
  {
    name: "testing-is-not-imported",
    severity: "error",
    comment: "src/testing is an entry point for tests; the product runs without it.",
    from: { path: "^src/", pathNot: "^src/testing/" },
    to: { path: "^src/testing/" },
  },
  {
    name: "testing-imports",
    severity: "error",
    comment: "Test doubles stand in for the layers below the command line and HTTP.",
    from: { path: "^src/testing/" },
    to: { path: "^src/(cli|http)/" },
  },
  {
    name: "pure-means-no-node-modules",
    severity: "error",
    comment: "Schedules and the task's state machine are plain functions of plain data.",
    from: { path: "^src/(schedule|tasks)/" },
    to: { dependencyTypes: ["core"] },
  },
  {
    name: "input-and-output-at-the-edges",
    severity: "error",
    comment: "Files, sockets, processes and databases belong to engines, store/open.ts, cli, http and testing.",
    from: { path: "^src/", pathNot: ["^src/(engines|cli|http|testing)/", openStore] },
    to: {
      path: "^(node:)?(child_process|cluster|dgram|dns|fs|http|http2|https|inspector|net|readline|repl|sqlite|tls|vm|worker_threads)(/|$)",
      dependencyTypes: ["core"],
    },
  },
  {
    name: "sqlite-package-in-its-engine",
    severity: "error",
    comment: "Only the SQLite engine knows the package that stands in for node:sqlite.",
    from: { path: "^src/", pathNot: "^src/engines/sqlite/" },
    to: { path: "node_modules/@photostructure/" },
  },
  {
    name: "pg-in-its-engine",
    severity: "error",
    comment: "Only the PostgreSQL engine knows pg, and loads it when a store is opened.",
    from: { path: "^src/", pathNot: "^src/engines/postgres/driver\\.ts$" },
    to: { path: "node_modules/(@types/)?pg/" },
  },
  {
    name: "cli-packages-in-cli",
    severity: "error",
    comment: "Whoever uses the library loads nothing of the command line.",
    from: { path: "^src/", pathNot: "^src/cli/" },
    to: { path: "node_modules/(commander|jiti|picocolors|zod)/" },
  },
  {
    name: "standard-schema-as-types",
    severity: "error",
    comment: "@standard-schema/spec is an interface; nothing of it exists at run time.",
    from: { path: "^src/" },
    to: { path: "node_modules/@standard-schema/", dependencyTypesNot: ["type-only"] },
  },
  {
    name: "declared-packages-only",
    severity: "error",
    comment: "src imports packages that package.json declares for its users: dependencies, optional or peer.",
    from: { path: "^src/" },
    to: {
      dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"],
      dependencyTypesNot: ["npm", "npm-optional", "npm-peer"],
    },
  },
  {
    name: "resolvable",
    severity: "error",
    comment: "Every import leads to a file, a package or a module of Node.",
    from: { path: "^src/" },
    // Node 20 does not have it; the SQLite engine asks before it imports.
    to: { couldNotResolve: true, pathNot: "^node:sqlite$" },
  },
];

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: rules,
  options: {
    doNotFollow: { path: "node_modules" },
    // Type-only imports count as well: they are a direction too.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["types", "import", "node", "default"] },
  },
};
