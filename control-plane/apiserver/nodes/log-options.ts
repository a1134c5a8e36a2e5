import {
  forbiddenField,
  invalidField,
  notSupportedField,
  noField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { badRequest, invalid } from '#api/errors/status.ts';
import { parseTime } from '#api/meta/time.ts';
import { describeError } from '#base/errors.ts';
import { integerOf } from '#control-plane/apiserver/verbs/query.ts';

/** The least that each may be. */
const minima = { tailLines: 0, limitBytes: 1, sinceSeconds: 1 } as const;

const streams = ['All', 'Stderr', 'Stdout'];

/**
 * What a client asks of a log has to make sense (ValidatePodLogOptions of core/validation, with streams apart, which a 1.36 has behind
 * PodLogsQuerySplitStreams). @throws {E_API} 400, 422
 */
export function checkLogOptions(podName: string, query: URLSearchParams): void {
  const numbers = Object.keys(minima).map((name) => integerOf(query, name));
  const [tailLines, limitBytes, sinceSeconds] = numbers;
  const isSinceTime = checkTime(query.get('sinceTime'));
  const errors = [
    ...leastErrors('tailLines', tailLines),
    ...leastErrors('limitBytes', limitBytes),
    ...(sinceSeconds !== undefined && isSinceTime
      ? [forbiddenField(noField, 'at most one of `sinceTime` or `sinceSeconds` may be specified')]
      : leastErrors('sinceSeconds', sinceSeconds)),
    ...streamErrors(query.get('stream'), tailLines),
  ];
  if (errors.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, podName, errors);
}

function leastErrors(name: keyof typeof minima, value: number | undefined): readonly FieldError[] {
  const minimum = minima[name];
  if (value === undefined || value >= minimum) return [];
  const least = minimum === 0 ? 'greater than or equal to 0' : 'greater than 0';
  return [invalidField(name, value, `must be ${least}`)];
}

function streamErrors(stream: string | null, tailLines: number | undefined): readonly FieldError[] {
  if (stream === null) return [];
  const isOne = stream !== 'All' && tailLines !== undefined;
  return [
    ...(streams.includes(stream) ? [] : [notSupportedField('stream', stream, streams)]),
    ...(isOne
      ? [forbiddenField(noField, '`tailLines` and specific `stream` are mutually exclusive for now')]
      : []),
  ];
}

/** Whether a time is named; none is the beginning of all times. @throws {E_API} 400 for what is none */
function checkTime(text: string | null): boolean {
  if (text === null) return false;
  if (text === '' || text === 'null') return true;
  try {
    parseTime(text);
    return true;
  } catch (error) {
    throw badRequest(describeError(error));
  }
}
