/** Unknown options and options of wrong types are refused when a store is opened, copied or replayed. */
import { AzothDb, type AzothDbOptions } from "azoth-scheduler";
import { describe } from "vitest";
import { Doors, idle, wrong } from "./doors.ts";

const doors = new Doors();

const head = { position: 1, hash: "0".repeat(64) };

describe("AzothDb.open", () => {
  const open = (options: unknown) => async () => {
    const opened = await AzothDb.open(":memory:", options as AzothDbOptions);
    await opened.close();
  };
  // biome-ignore format: a table, one row to a line.
  doors.refuses([
    ["without a location", "INVALID_LOCATION", () => AzothDb.open(wrong(undefined)), "undefined", ":memory:"],
    ["with another engine's location", "INVALID_LOCATION", () => AzothDb.open("mysql://host/db"), "mysql://"],
    ["with options that are none", "INVALID_OPTION", open("full"), '"full"', "durability"],
    ["with a misspelt option", "INVALID_OPTION", open({ durabilty: "full" }), '"durabilty"', "durability"],
    ["with an unknown durability", "INVALID_OPTION", open({ durability: "none" }), "durability", '"none"', '"normal"'],
    ["with a negative busyTimeout", "INVALID_DURATION", open({ busyTimeout: -1 }), "busyTimeout", "-1"],
    ["with a busyTimeout of null", "INVALID_DURATION", open({ busyTimeout: null }), "busyTimeout", "null"],
    ["with a transactionTimeout of 0", "INVALID_DURATION", open({ transactionTimeout: 0 }), "transactionTimeout"],
    ["with a noticeInterval of text", "INVALID_DURATION", open({ noticeInterval: "often" }), "noticeInterval", '"often"'],
    ["with a payload limit of 0", "INVALID_OPTION", open({ maxPayloadBytes: 0 }), "maxPayloadBytes", "0"],
    ["with a payload limit of text", "INVALID_OPTION", open({ maxPayloadBytes: "1MB" }), "maxPayloadBytes", '"1MB"'],
    ["with a codec that cannot open", "INVALID_OPTION", open({ payloadCodec: { seal: idle } }), "payloadCodec", "open()", "aesGcm"],
    ["with null for a codec", "INVALID_OPTION", open({ payloadCodec: null }), "payloadCodec", "null"],
    ["with a key for a codec", "INVALID_OPTION", open({ payloadCodec: "c2VjcmV0" }), "payloadCodec", "a text"],
    ["with a codec that is made ready by a text", "INVALID_OPTION", open({ payloadCodec: { seal: idle, open: idle, prepare: "x" } }), "payloadCodec"],
    ["with a hashChain of text", "INVALID_OPTION", open({ hashChain: "yes" }), "hashChain", '"yes"'],
    ["with a clock that shows nothing", "INVALID_OPTION", open({ clock: { now: 5 } }), "clock", "now()"],
    ["with null for a clock", "INVALID_OPTION", open({ clock: null }), "clock", "null"],
    ["with a number for chance", "INVALID_OPTION", open({ random: 4 }), "random", "4"],
    ["with a driver that is none", "INVALID_OPTION", open({ sqliteDriver: {} }), "sqliteDriver", "DatabaseSync"],
    ["for a backup to nowhere", "INVALID_LOCATION", () => doors.db.backup(wrong(undefined)), "undefined"],
    ["for a backup to an empty name", "INVALID_LOCATION", () => doors.db.backup(""), '""'],
    ["for a backup over the store itself", "INVALID_LOCATION", () => doors.db.backup(doors.db.location), "overwrite"],
    ["for a rebuild with a misspelt option", "INVALID_OPTION", () => doors.db.rebuild(wrong({ progress: idle })), '"progress"', "onProgress"],
    ["for a rebuild with progress to nobody", "INVALID_OPTION", () => doors.db.rebuild(wrong({ onProgress: 5 })), "onProgress", "5"],
    ["for a rebuild that is given a head", "INVALID_OPTION", () => doors.db.rebuild(wrong({ chainHead: head })), '"chainHead"'],
    ["for a verify with a head of text", "INVALID_OPTION", () => doors.db.verify(wrong({ chainHead: "ab" })), "chainHead", '"ab"'],
    ["for a verify with a head of more", "INVALID_OPTION", () => doors.db.verify(wrong({ chainHead: { ...head, at: 1 } })), "chainHead", '"at"'],
    ["for a verify with a head of nowhere", "INVALID_OPTION", () => doors.db.verify({ chainHead: { ...head, position: 0 } }), "chainHead.position", "0"],
    ["for a verify with a head of a short hash", "INVALID_OPTION", () => doors.db.verify({ chainHead: { ...head, hash: "ab" } }), "chainHead.hash", '"ab"'],
    ["for a verify with a signal that is none", "INVALID_OPTION", () => doors.db.verify(wrong({ signal: {} })), "signal"],
  ]);
});
