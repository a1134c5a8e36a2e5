import { findsPattern, patternProblem } from './pattern.ts';
import { formatChecks, type TextCheck } from './formats.ts';
import { goFloat } from './go-number.ts';
import { isIntOrString, type StructuralSchema } from './structural-schema.ts';
import { isOver, report, reportNowhere, type Check, type Walk } from './walk.ts';

const int64Limit = 2 ** 63;
const int32Limit = 2 ** 31;
/** Beyond it Go's float64 is no integer of JSON. */
const safeLimit = 2 ** 53;

/** Types that a schema allows; none: any. */
export function typesOf(schema: StructuralSchema): readonly string[] {
  if (isIntOrString(schema)) return ['integer', 'string'];
  return schema.type === '' ? [] : [schema.type];
}

const numberFormats: Readonly<Record<string, readonly string[]>> = {
  integer: ['int32', 'int64'],
  number: ['float', 'double'],
};

/** The format, if kube-apiserver knows it for the type; '' otherwise: what it does not know, it does not check. */
export function formatOf(schema: StructuralSchema): string {
  const format = schema.checks?.format ?? '';
  const type = isIntOrString(schema) ? '' : schema.type;
  if (type === '' || type === 'string') return formatChecks.has(normalized(format)) ? format : '';
  return (numberFormats[type] ?? []).includes(format) ? format : '';
}

function normalized(format: string): string {
  return format.replaceAll('-', '');
}

/** What JSON calls the type of a value; whole numbers are integers. */
export function typeNameOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return isInt64(value) ? 'integer' : 'number';
  return typeof value;
}

function isInt64(value: number): boolean {
  return Number.isInteger(value) && value >= -int64Limit && value < int64Limit;
}

/** The check of the type; undefined where any will do. */
export function typeCheck(schema: StructuralSchema): Check | undefined {
  const types = typesOf(schema);
  const format = formatOf(schema);
  if (types.length === 0 && format === '') return undefined;
  const listed = types.join(',');
  const isNumeric = types.includes('integer') || types.includes('number');
  return (walk, value) => {
    const type = typeNameOf(value);
    if (type === 'null') {
      if (types.length > 0 && !schema.nullable) reportType(walk, listed, type);
      return 1;
    }
    const fits = types.includes(type) || (type === 'integer' && types.includes('number'));
    if (fits) return 1;
    const isTextOrList = type === 'string' || type === 'array';
    if (!isTextOrList && format !== '') {
      reportType(walk, format, typeof value === 'number' ? 'float64' : '');
      return 0;
    }
    // A format without a type of numbers is left to what checks texts.
    if (!isNumeric && format !== '') return 1;
    if (types.length > 0) reportType(walk, listed, type);
    return 0;
  };
}

function reportType(walk: Walk, wanted: string, found: string): void {
  const ofType = `in body must be of type ${wanted}: ${JSON.stringify(found)}`;
  report(walk, 'TypeInvalid', found, (place) => `${place} ${ofType}`);
}

/** The check of texts: length in code points, pattern, format. */
export function stringCheck({ checks = {} }: StructuralSchema, format: string): Check | undefined {
  const { maxLength, minLength, pattern } = checks;
  const check: TextCheck | undefined = formatChecks.get(normalized(format));
  const hasLength = maxLength !== undefined || minLength !== undefined;
  if (!hasLength && pattern === undefined && check === undefined) return undefined;
  const length = (walk: Walk, text: string): boolean => {
    walk.steps += text.length >> 4;
    const count = hasLength ? codePointCount(text) : 0;
    if (maxLength !== undefined && count > maxLength) {
      report(walk, 'TooLong', text, () => (maxLength < 0 ? '' : `may not be more than ${maxLength} bytes`));
      return false;
    }
    if (minLength === undefined || count >= minLength) return true;
    report(walk, 'Invalid', text, (place) => `${place} in body should be at least ${minLength} chars long`);
    return false;
  };
  return (walk, value) => {
    const text = value as string;
    if (length(walk, text) && pattern !== undefined) checkPattern(walk, text, pattern);
    if (check !== undefined && !check(text)) {
      const shown = (place: string): string =>
        `${place} in body must be of type ${format}: ${JSON.stringify(text)}`;
      report(walk, 'TypeInvalid', text, shown);
    }
    return 0;
  };
}

function checkPattern(walk: Walk, text: string, pattern: string): void {
  // What it takes where no automaton is small enough, and most are.
  walk.steps += Math.ceil((text.length * pattern.length) / 2);
  if (isOver(walk)) return;
  const problem = patternProblem(pattern);
  const shown = problem === undefined ? pattern : `${pattern}, but pattern is invalid: ${problem}`;
  if (problem !== undefined || !findsPattern(pattern, text)) {
    report(walk, 'Invalid', text, (place) => `${place} in body should match '${shown}'`);
  }
}

/** Code points, of which some take two units of UTF-16. */
function codePointCount(text: string): number {
  let pairs = 0;
  for (let index = 0; index < text.length - 1; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= 0xd8_00 && unit < 0xdc_00 && (text.charCodeAt(index + 1) & 0xfc_00) === 0xdc_00) pairs++;
  }
  return text.length - pairs;
}

/** The check of numbers: range of the type, multipleOf, minimum, maximum. */
export function numberCheck(schema: StructuralSchema): Check | undefined {
  const { multipleOf, minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema.checks ?? {};
  const range: Range = { type: isIntOrString(schema) ? '' : schema.type, format: formatOf(schema) };
  const isBounded = multipleOf !== undefined || minimum !== undefined || maximum !== undefined;
  if (range.type !== 'integer' && range.format === '' && !isBounded) return undefined;
  return (walk, value) => {
    const number = value as number;
    const say = (detail: string): void =>
      report(walk, 'Invalid', number, (place) => `${place} in body ${detail}`);
    checkRange(walk, number, range, 'Checked');
    if (multipleOf !== undefined && multipleOf !== 0) {
      checkRange(walk, multipleOf, range, 'MultipleOf');
      if (multipleOf < 0) {
        const shown = goFloat(multipleOf);
        report(
          walk,
          'Invalid',
          multipleOf,
          (place) => `factor MultipleOf declared for ${place} must be positive: ${shown}`,
        );
      } else if (!isMultiple(number, multipleOf)) say(`should be a multiple of ${goFloat(multipleOf)}`);
    }
    if (minimum !== undefined) {
      checkRange(walk, minimum, range, 'Minimum boundary');
      const least = boundOf(minimum, number);
      if (exclusiveMinimum === true ? number <= least : number < least) {
        say(`should be greater than ${exclusiveMinimum === true ? '' : 'or equal to '}${goFloat(least)}`);
      }
    }
    if (maximum !== undefined) {
      checkRange(walk, maximum, range, 'Maximum boundary');
      const most = boundOf(maximum, number);
      if (exclusiveMaximum === true ? number >= most : number > most) {
        say(`should be less than ${exclusiveMaximum === true ? '' : 'or equal to '}${goFloat(most)}`);
      }
    }
    return 1;
  };
}

interface Range {
  readonly type: string;
  readonly format: string;
}

/** Whether a number is one of the type and format. */
function checkRange(walk: Walk, number: number, { type, format }: Range, what: string): void {
  const fits =
    type === 'integer'
      ? isInt64(number) && (format !== 'int32' || (number >= -int32Limit && number < int32Limit))
      : format !== 'float' || Number.isFinite(Math.fround(number));
  if (fits) return;
  const form = format === '' ? '(default format)' : `with format ${format}`;
  reportNowhere(walk, (place) => `${what} value must be of type ${type} ${form} in ${place}`);
}

/** Go compares integers with what is left of a bound without its fraction. */
function boundOf(bound: number, number: number): number {
  return isInt64(number) ? Math.trunc(bound) : bound;
}

function isMultiple(number: number, factor: number): boolean {
  if (isInt64(number) && isInt64(factor)) return number % factor === 0;
  const times = factor < 1 ? (1 / factor) * number : number / factor;
  if (Math.abs(times) >= safeLimit) return false;
  // Fractions are not exact: what is near a whole number is one (go-openapi/swag IsFloat64AJSONInteger).
  const whole = Math.round(times);
  const difference = Math.abs(times - whole);
  return difference === 0 || difference < 1e-9 * Math.max(Math.abs(times), Math.abs(whole));
}
