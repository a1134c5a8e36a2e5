import { goJson } from './json.ts';
import type { StatusCause } from './objects.ts';

/** The kinds of complaint about one field (k8s.io/apimachinery field.ErrorType). */
export type FieldErrorType =
  | 'Invalid'
  | 'Required'
  | 'NotSupported'
  | 'Duplicate'
  | 'Forbidden'
  | 'TooLong'
  | 'TooMany'
  | 'NotFound'
  | 'TypeInvalid';

/** One complaint about one field of an object. */
export interface FieldError {
  readonly type: FieldErrorType;
  /** `spec.containers[0].name` */
  readonly field: string;
  /** What is wrong; shown for the types that name a value. */
  readonly value?: unknown;
  readonly detail: string;
  /** The value is not shown although the type names one (Go's field.OmitValueType). */
  readonly omitsValue?: true;
}

const words: Readonly<Record<FieldErrorType, string>> = {
  Invalid: 'Invalid value',
  Required: 'Required value',
  NotSupported: 'Unsupported value',
  Duplicate: 'Duplicate value',
  Forbidden: 'Forbidden',
  TooLong: 'Too long',
  TooMany: 'Too many',
  NotFound: 'Not found',
  TypeInvalid: 'Invalid value',
};

const withoutValue: ReadonlySet<FieldErrorType> = new Set(['Required', 'Forbidden', 'TooLong', 'TooMany']);

/** A value that is wrong, and why. */
export function invalidField(field: string, value: unknown, detail: string): FieldError {
  return { type: 'Invalid', field, value, detail };
}

/** A value that is missing. */
export function requiredField(field: string, detail = ''): FieldError {
  return { type: 'Required', field, detail };
}

/** A value that may not be there, or not change. */
export function forbiddenField(field: string, detail: string): FieldError {
  return { type: 'Forbidden', field, detail };
}

/** A value that was there already. */
export function duplicateField(field: string, value: unknown): FieldError {
  return { type: 'Duplicate', field, value, detail: '' };
}

/** A value that refers to nothing. */
export function notFoundField(field: string, value: unknown): FieldError {
  return { type: 'NotFound', field, value, detail: '' };
}

/** A value of too many bytes. */
export function tooLongField(field: string, byteCountMax: number): FieldError {
  return { type: 'TooLong', field, detail: `may not be more than ${byteCountMax} bytes` };
}

/** `supported` is listed in the order given. */
export function notSupportedField(field: string, value: unknown, supported: readonly string[]): FieldError {
  const list = supported.map((text) => JSON.stringify(text)).join(', ');
  return { type: 'NotSupported', field, value, detail: list === '' ? '' : `supported values: ${list}` };
}

/** `Invalid value: "A": what is wrong`: the text after the field's path. */
export function renderFieldError(error: FieldError): string {
  const value = withoutValue.has(error.type) || error.omitsValue ? '' : `: ${renderValue(error.value)}`;
  return `${words[error.type]}${value}${error.detail === '' ? '' : `: ${error.detail}`}`;
}

/** The cause of a Status that stands for the error. */
export function fieldErrorCause(error: FieldError): StatusCause {
  return { reason: `FieldValue${error.type}`, message: renderFieldError(error), field: error.field };
}

function renderValue(value: unknown): string {
  if (value === undefined || value === null) return 'null';
  return typeof value === 'string' ? JSON.stringify(value) : goJson(value);
}
