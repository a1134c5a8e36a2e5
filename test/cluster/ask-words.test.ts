import { expect, test } from 'vitest';

import { parseAsk } from './ask-words.ts';
import { words } from './cluster.ts';

const objects = {
  ...{ kind: 'objects', resource: 'pods', name: undefined, namespace: 'default', query: {} },
  ...{ output: '', template: [], hasHeaders: true, ignoresNone: false },
};

test.each([
  { given: 'get pods', want: objects },
  { given: 'get pods/a', want: { ...objects, name: 'a' } },
  {
    given: 'get -n b pods a --no-headers',
    want: { ...objects, name: 'a', namespace: 'b', hasHeaders: false },
  },
  { given: 'get pods -A -o=name', want: { ...objects, namespace: undefined, output: 'name' } },
  {
    given: 'get pods -l a=b --field-selector c!=d',
    want: { ...objects, query: { labelSelector: 'a=b', fieldSelector: 'c!=d' } },
  },
  {
    given: `get pods -o "jsonpath={.a[?(@.b=='c')].d}{'/'}e{.f}"`,
    want: {
      ...objects,
      output: 'jsonpath',
      template: [
        { kind: 'path', path: ".a[?(@.b=='c')].d" },
        { kind: 'text', text: '/' },
        { kind: 'text', text: 'e' },
        { kind: 'path', path: '.f' },
      ],
    },
  },
  { given: 'get --raw /readyz', want: { kind: 'raw', path: '/readyz' } },
  { given: 'logs a', want: { kind: 'logs', path: '/api/v1/namespaces/default/pods/a/log' } },
  {
    given: 'logs a -c b --tail 3 -p',
    want: {
      kind: 'logs',
      path: '/api/v1/namespaces/default/pods/a/log?container=b&previous=true&tailLines=3',
    },
  },
  { given: 'create -f -', want: { kind: 'create' } },
])('parseAsk() reads $given', ({ given, want }) => {
  expect(parseAsk(words(given))).toEqual(want);
});

test.each([
  ...['get pods a b', 'get pods,services', 'get all', 'get pods -w', 'get pods -o yaml', 'get pods.v1.'],
  ...['get pods -o jsonpath={range.items[*]}{.a}{end}', 'get pods --sort-by=.metadata.name', 'get pods a/b'],
  ...[
    'logs deploy/a',
    'logs -f a',
    'logs -l a=b',
    'logs',
    'create -f file',
    'create namespace a',
    'delete pod a',
  ],
])('parseAsk() leaves %s to kubectl', (given) => {
  expect(parseAsk(words(given))).toBeUndefined();
});
