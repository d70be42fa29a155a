/** What seals payloads before they are stored: the interface of it, and what stands for a text that cannot be opened. */
import { AzothError, isAzothError, quote } from "./errors.ts";
import { readSafely } from "./names.ts";

/**
 * Seals what is stored of the user's, and opens it again. {@link aesGcm} makes one; your own may take its keys from elsewhere.
 *
 * `open` opens what any key has sealed that was ever in use. Both are called often, and in the midst of transactions:
 * they wait for nothing.
 */
export interface PayloadCodec {
  /** Called when a store opens, before anything is sealed or opened: the moment to look for keys. If it rejects, so does `AzothDb.open`. */
  prepare?(): void | Promise<void>;
  /**
   * Whatever it throws, nothing is stored of the work that needed it.
   * @param text JSON
   * @param context what the text belongs to, the same when it is opened: bind it to the text, and no text can be put in another's place
   */
  seal(text: string, context: string): string;
  /** Throws if it cannot, and never gives anything but what was sealed. */
  open(sealed: string, context: string): string;
}

/** Stands where a payload would be that cannot be opened: the codec is missing, or the right key, or the text was altered. */
export class Sealed {
  /** As the codec gave it, or as it was altered. */
  readonly text: string;
  /** Why it cannot be opened. */
  readonly error: AzothError;

  /** @internal */
  constructor(text: string, error: AzothError) {
    this.text = text;
    this.error = error;
  }
}

/** A codec that is ready for use. @throws AzothError INVALID_OPTION, CODEC_FAILED, or what the codec itself threw of ours */
export async function prepareCodec(codec: PayloadCodec | undefined): Promise<PayloadCodec | undefined> {
  if (codec === undefined) return undefined;
  checkCodec(codec);
  try {
    await codec.prepare?.();
  } catch (cause) {
    if (isAzothError(cause)) throw cause;
    throw new AzothError("CODEC_FAILED", "The payload codec's prepare failed, so the store was not opened.", { cause });
  }
  return codec;
}

/** @throws AzothError INVALID_OPTION; it does not repeat a text, which may be a key */
function checkCodec(codec: PayloadCodec): void {
  const isCodec = readSafely("payloadCodec", "INVALID_OPTION", () => {
    const { seal, open, prepare } = (codec ?? {}) as { seal?: unknown; open?: unknown; prepare?: unknown };
    const mayPrepare = prepare === undefined || typeof prepare === "function";
    return typeof seal === "function" && typeof open === "function" && mayPrepare;
  });
  if (isCodec) return;
  const shown = typeof codec === "string" ? "a text" : quote(codec);
  throw new AzothError(
    "INVALID_OPTION",
    `payloadCodec must be a codec with seal() and open(), such as aesGcm makes, and is ${shown}.`,
  );
}
