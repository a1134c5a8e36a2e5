import { notSupportedField } from '#api/errors/field-error.ts';
import type { FieldValidation } from '#api/wire/decode-request.ts';
import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { invalidOptions } from '#api/errors/status.ts';

/** What the query of a write asks for. */
export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
}

/** @throws {E_API} 422 naming the options kind (`CreateOptions`, `UpdateOptions`, `PatchOptions`) */
export function parseWriteOptions(optionsKind: string, query: URLSearchParams): WriteOptions {
  const errors: FieldError[] = [];
  const dryRun = query.getAll('dryRun');
  if (dryRun.some((value) => value !== 'All')) errors.push(notSupportedField('dryRun', dryRun, ['All']));
  const manager = query.get('fieldManager') ?? '';
  if (Buffer.byteLength(manager) > 128) {
    errors.push(invalidField('fieldManager', manager, 'may not be more than 128 bytes'));
  } else if (/[^\x20-\x7e\u00a0-\uffff]/.test(manager)) {
    errors.push(invalidField('fieldManager', manager, 'should only contain printable characters'));
  }
  const validation = query.get('fieldValidation') ?? '';
  if (!isFieldValidation(validation) && validation !== '') {
    errors.push(notSupportedField('fieldValidation', validation, ['', 'Ignore', 'Strict', 'Warn']));
  }
  if (errors.length > 0) throw invalidOptions(optionsKind, errors);
  return { dryRun: dryRun.length > 0, fieldValidation: isFieldValidation(validation) ? validation : 'Warn' };
}

function isFieldValidation(text: string): text is FieldValidation {
  return text === 'Strict' || text === 'Warn' || text === 'Ignore';
}

const warningCharsMax = 4096;

/** `Warning: 299 - "…"`, one each, as long as there is room (RFC 7234 5.5). */
export function warningHeaders(warnings: readonly string[]): Readonly<Record<string, readonly string[]>> {
  if (warnings.length === 0) return {};
  let room = warningCharsMax;
  const lines = warnings.flatMap((text) => {
    room -= text.length;
    return room < 0 ? [] : [`299 - ${JSON.stringify(text.replaceAll(/[^\x20-\x7e]/g, '?'))}`];
  });
  return { warning: lines };
}
