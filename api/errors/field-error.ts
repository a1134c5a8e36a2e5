import { goJson } from '#api/wire/json.ts';
import type { StatusCause } from '#api/generated/objects.ts';

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
  /** The value as it stands in the text, where that is not its JSON (`go-struct.ts`). */
  readonly shown?: string;
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

/** Faults of one object after which validation stops. */
export const faultCountMax = 1000;

/** The faults found so far by the validation that runs; validation is synchronous, so that there is only one. */
let found: FieldError[] | undefined;
const enough = new Error('faults enough');

/** What a validation finds, stopped at `faultCountMax`: an answer must not grow with the number of faults, nor the time it takes. */
export function collectFaults(validate: () => readonly FieldError[]): readonly FieldError[] {
  const outer = found;
  const own: FieldError[] = [];
  found = own;
  try {
    return validate();
  } catch (error) {
    if (error !== enough) throw error;
    return own;
  } finally {
    found = outer;
  }
}

function note(fault: FieldError): FieldError {
  if (found !== undefined && found.push(fault) >= faultCountMax) throw enough;
  return fault;
}

/** The path of what is said of no field in particular (Go's `field.NewPath("")`). */
export const noField: string = '[]';

/** A value that is wrong, and why. */
export function invalidField(field: string, value: unknown, detail: string): FieldError {
  return note({ type: 'Invalid', field, value, detail });
}

/** A struct that is wrong, and why; `shown` is what `goStruct` makes of it. */
export function invalidStruct(field: string, shown: string, detail: string): FieldError {
  return note({ type: 'Invalid', field, shown, detail });
}

/** A value that is wrong, and is not shown (Go's field.OmitValueType). */
export function invalidHidden(field: string, detail: string): FieldError {
  return note({ type: 'Invalid', field, detail, omitsValue: true });
}

/** A struct that is none of those supported, which are listed in the order given. */
export function notSupportedStruct(field: string, shown: string, supported: readonly string[]): FieldError {
  return note({ ...notSupported(field, undefined, supported), shown });
}

/** A value that is missing. */
export function requiredField(field: string, detail = ''): FieldError {
  return note({ type: 'Required', field, detail });
}

/** A value that may not be there, or not change. */
export function forbiddenField(field: string, detail: string): FieldError {
  return note({ type: 'Forbidden', field, detail });
}

/** A value that was there already. */
export function duplicateField(field: string, value: unknown): FieldError {
  return note({ type: 'Duplicate', field, value, detail: '' });
}

/** The struct is there already, as `goStruct` shows it. */
export function duplicateStruct(field: string, shown: string): FieldError {
  return note({ type: 'Duplicate', field, shown, detail: '' });
}

/** A value that refers to nothing. */
export function notFoundField(field: string, value: unknown, detail = ''): FieldError {
  return note({ type: 'NotFound', field, value, detail });
}

/** A value of too many bytes. */
export function tooLongField(field: string, byteCountMax: number): FieldError {
  return note({ type: 'TooLong', field, detail: `may not be more than ${byteCountMax} bytes` });
}

/** A list of more items than it may have. */
export function tooManyField(field: string, count: number, countMax: number): FieldError {
  return note({ type: 'TooMany', field, detail: `${count}: must have at most ${countMax} items` });
}

/** `supported` is listed in the order given. */
export function notSupportedField(field: string, value: unknown, supported: readonly string[]): FieldError {
  return note(notSupported(field, value, supported));
}

function notSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const list = supported.map((text) => JSON.stringify(text)).join(', ');
  return { type: 'NotSupported', field, value, detail: list === '' ? '' : `supported values: ${list}` };
}

/** `Invalid value: "A": what is wrong`: the text after the field's path. */
export function renderFieldError(error: FieldError): string {
  const value = withoutValue.has(error.type) || error.omitsValue ? '' : `: ${shownValue(error)}`;
  return clip(`${words[error.type]}${value}${error.detail === '' ? '' : `: ${error.detail}`}`);
}

/** The cause of a Status that stands for the error. */
export function fieldErrorCause(error: FieldError): StatusCause {
  return { reason: `FieldValue${error.type}`, message: renderFieldError(error), field: clip(error.field) };
}

/** Characters of a text of a fault; what is longer is shown at its beginning and end. */
const textLengthMax = 2048;

/** The text, if it is not longer than a person reads; else its beginning and end. */
export function clip(text: string, lengthMax: number = textLengthMax): string {
  if (text.length <= lengthMax) return text;
  const half = lengthMax / 2;
  return `${text.slice(0, half)}… (${text.length - lengthMax} characters) …${text.slice(-half)}`;
}

function shownValue({ shown, value }: FieldError): string {
  return shown === undefined ? renderValue(value) : clip(shown);
}

/** A large value may stand in many faults; it is rendered once. */
const rendered = new WeakMap<object, string>();

function renderValue(value: unknown): string {
  if (value === undefined || value === null) return 'null';
  if (typeof value === 'string') return JSON.stringify(clip(value));
  if (typeof value !== 'object') return goJson(value);
  const text = rendered.get(value) ?? clip(goJson(value));
  rendered.set(value, text);
  return text;
}
