import { isPodwrightError, type PodwrightError } from '#base/errors.ts';
import { badRequest, statusError } from '#api/errors/status.ts';
import type { StatusDetails } from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, numberOf, stringOf } from '#api/wire/json.ts';

const codeMin = 400;
const codeMax = 599;

/** What a request is refused with that a hook denied: its own code and words, made fit (apiserver/pkg/admission/plugin/webhook/errors). */
export function rejected(hookName: string, status: JsonObject | undefined): PodwrightError {
  const { code, reason, message, details } = status ?? {};
  const given = numberOf(code);
  const text = stringOf(message) || stringOf(reason);
  const denied = `admission webhook ${JSON.stringify(hookName)} denied the request`;
  return statusError(
    Number.isInteger(given) && given >= codeMin && given <= codeMax ? given : codeMin,
    stringOf(reason),
    text === '' ? `${denied} without explanation` : `${denied}: ${text}`,
    isObject(details) ? (details as StatusDetails) : undefined,
  );
}

/** 400 of a dry run that a hook cannot take part in: whatever its failurePolicy says. */
export function noDryRun(hookName: string): PodwrightError {
  return badRequest(`admission webhook ${JSON.stringify(hookName)} does not support dry run`);
}

/** What a request is refused with whose hook could not be asked, and must be. */
export function notCalled(hookName: string, reason: string): PodwrightError {
  return internal(`failed calling webhook ${JSON.stringify(hookName)}: ${reason}`);
}

/** 500 with its cause among the details, as NewInternalError has it. */
export function internal(cause: string): PodwrightError {
  return statusError(500, 'InternalError', `Internal error occurred: ${cause}`, {
    causes: [{ message: cause }],
  });
}

/** What the work gives. @throws {E_API} 500 for whatever it refuses */
export async function internally<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const cause = causeOf(error);
    throw cause === undefined ? error : internal(cause);
  }
}

/** The cause that an error of ours gives, in the words that follow what was being decoded. */
export function causeOf(error: unknown): string | undefined {
  if (!isPodwrightError(error, 'E_API')) return undefined;
  return error.message.replace(/^[^:]* cannot be handled as an? [^:]+: /, '');
}
