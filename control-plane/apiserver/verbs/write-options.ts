import type { FieldValidation } from '#api/wire/decode-request.ts';
import {
  forbiddenField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { managerFaults } from '#api/validation/managed-fields.ts';
import { queryBoolean } from '#api/wire/query.ts';
import { invalidOptions } from '#api/errors/status.ts';

/** What the query of a write asks for. */
export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
  /** The name of who writes; '' where the request does not say. */
  readonly fieldManager: string;
  /** What others own is taken from them: of an application. */
  readonly force: boolean;
}

/**
 * Options of a write. `isApply`: of an application; undefined where the request is no patch. @throws {E_API} 422 naming the options kind
 * (`CreateOptions`, `UpdateOptions`, `PatchOptions`)
 */
export function parseWriteOptions(
  optionsKind: string,
  query: URLSearchParams,
  isApply?: boolean,
): WriteOptions {
  const manager = query.get('fieldManager') ?? '';
  const force = queryBoolean(query, 'force');
  const errors: FieldError[] = [];
  if (isApply === false && force !== undefined)
    errors.push(forbiddenField('force', 'may not be specified for non-apply patch'));
  if (isApply === true && manager === '')
    errors.push(requiredField('fieldManager', 'is required for apply patch'));
  errors.push(...managerFaults(manager, 'fieldManager'));
  const dryRun = query.getAll('dryRun');
  if (dryRun.some((value) => value !== 'All')) errors.push(notSupportedField('dryRun', dryRun, ['All']));
  const validation = query.get('fieldValidation') ?? '';
  if (!isFieldValidation(validation) && validation !== '') {
    errors.push(notSupportedField('fieldValidation', validation, ['', 'Ignore', 'Strict', 'Warn']));
  }
  if (errors.length > 0) throw invalidOptions(optionsKind, errors);
  return {
    dryRun: dryRun.length > 0,
    fieldValidation: isFieldValidation(validation) ? validation : 'Warn',
    fieldManager: manager,
    force: force === true,
  };
}

function isFieldValidation(text: string): text is FieldValidation {
  return text === 'Strict' || text === 'Warn' || text === 'Ignore';
}

const warningCharsMax = 4096;
/** Of one, where all of them would be too long. */
const longWarningCharsMax = 256;

/**
 * `Warning: 299 - "…"`, one each (RFC 7234 5.5). Where they are longer than a header should be, each is cut, and of these as many are told as
 * there is room for (apiserver/pkg/endpoints/filters/warning.go).
 */
export function warningHeaders(warnings: readonly string[]): Readonly<Record<string, readonly string[]>> {
  if (warnings.length === 0) return {};
  const texts = warnings.map((text) => [...text]);
  const isLong = texts.reduce((sum, { length }) => sum + length, 0) > warningCharsMax;
  const cut = isLong ? texts.map((text) => text.slice(0, longWarningCharsMax)) : texts;
  let written = 0;
  const lines = cut.flatMap((text) => {
    if (written >= warningCharsMax) return [];
    written += text.length;
    return [warningLine(text.join(''))];
  });
  return { warning: lines };
}

/** Quoted; what no header can carry is left out, or written in the bytes of UTF-8. */
function warningLine(text: string): string {
  const plain = text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, ' ');
  const quoted = plain.replaceAll(/["\\]/g, (char) => `\\${char}`);
  return `299 - "${Buffer.from(quoted, 'utf8').toString('latin1')}"`;
}
