import { constantFrom, oneof, string, stringMatching, tuple, array, type Arbitrary } from 'fast-check';
import { expect, test } from 'vitest';
import { parseFieldSelector } from '#api/meta/field-selector.ts';
import { createKindCatalogue } from '#api/schema/kind-catalogue.ts';
import { matchesLabels, parseLabelSelector, selectorWordCountMax } from '#api/meta/selector.ts';
import { statusOf } from '#api/errors/status.ts';
import { isPodwrightError } from '#base/errors.ts';
import { parseListOptions } from '#control-plane/apiserver/verbs/list-options.ts';
import { parseRoute } from '#control-plane/apiserver/chain/route.ts';
import { fuzz } from './fuzz.ts';

/** What clients are told; anything else that is thrown is ours. */
function answered(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!isPodwrightError(error, 'E_API')) throw error;
    expect(statusOf(error).httpCode).toBeLessThan(500);
  }
}

const word = oneof(
  constantFrom(
    '=',
    '==',
    '!=',
    '!',
    'in',
    'notin',
    '(',
    ')',
    ',',
    '<',
    '>',
    ' ',
    '\\',
    '\\,',
    '%',
    '/',
    '.',
    '1',
    'a',
  ),
  stringMatching(/^[a-z0-9./-]{1,8}$/),
  string({ unit: 'binary', maxLength: 4 }),
);
const selector: Arbitrary<string> = array(word, { maxLength: 20 }).map((words) => words.join(''));

fuzz('selectors', {
  arbitrary: selector,
  check: (text) => {
    answered(() => matchesLabels(parseLabelSelector(text), { a: '1' }));
    answered(() => parseFieldSelector(text));
  },
});

const parameter = constantFrom(
  'watch',
  'labelSelector',
  'fieldSelector',
  'limit',
  'continue',
  'resourceVersion',
  'resourceVersionMatch',
  'timeoutSeconds',
  'allowWatchBookmarks',
  'sendInitialEvents',
  'pretty',
  '__proto__',
);
const value = oneof(
  selector,
  constantFrom(
    'true',
    'True',
    '1',
    '0',
    '-1',
    'NaN',
    '1e400',
    '9007199254740993',
    '99999999999999999999',
    'NotOlderThan',
    'Exact',
    '',
  ),
);
const path = array(
  oneof(
    constantFrom(
      'api',
      'apis',
      'v1',
      'namespaces',
      'pods',
      'configmaps',
      'default',
      'watch',
      'status',
      'log',
      'exec',
      'proxy',
      '..',
      '',
      '%2e%2e',
      '%zz',
      'apps',
      '%',
    ),
    word,
  ),
  { maxLength: 8 },
).map((parts) => `/${parts.join('/')}`);

const kinds = createKindCatalogue();

fuzz('paths and queries', {
  arbitrary: tuple(
    constantFrom('GET', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'X'),
    path,
    array(tuple(parameter, value), { maxLength: 6 }),
  ),
  check: ([method, target, parameters]) => {
    const query = new URLSearchParams(parameters.map(([name, text]) => [name, text]));
    answered(() => {
      const route = parseRoute(kinds, { method, path: target, query });
      if (route.kind === 'resource') parseListOptions(route.route, query);
    });
  },
});

test('selectors of more words than may be asked of every object are refused', () => {
  const terms = (count: number): string => Array.from({ length: count }, (_, i) => `!k${i}`).join(',');
  expect(() => parseLabelSelector(terms(5000))).not.toThrow();
  expect(() => parseLabelSelector(terms(100_000))).toThrow(`at most ${selectorWordCountMax}`);
  expect(() => parseFieldSelector(Array.from({ length: 101 }, () => 'metadata.name=a').join(','))).toThrow(
    /at most 100/,
  );
});
