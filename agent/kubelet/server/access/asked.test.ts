import { describe, expect, it } from 'vitest';
import { askedOf, describeForbidden } from './asked.ts';

const rows: readonly (readonly [path: string, subresources: readonly string[]])[] = [
  ['/stats/summary', ['stats']],
  ['/metrics', ['metrics']],
  ['/metrics/slis', ['metrics']],
  ['/metrics/cadvisor', ['metrics']],
  ['/logs', ['log']],
  ['/logs/pods/a', ['log']],
  ['/spec/', ['spec']],
  ['/checkpoint/n/p/c', ['checkpoint']],
  ['/pods', ['pods', 'proxy']],
  ['/runningpods/', ['pods', 'proxy']],
  ['/healthz/log', ['healthz', 'proxy']],
  ['/configz', ['configz', 'proxy']],
  ['/statusz', ['statusz']],
  ['/flagz', ['proxy']],
  ['/exec/n/p/c', ['proxy']],
  ['/attach/n/p/c', ['proxy']],
  ['/portForward/n/p', ['proxy']],
  ['/containerLogs/n/p/c', ['proxy']],
  ['/metricsX', ['proxy']],
  ['/toString', ['proxy']],
  ['/', ['proxy']],
];

describe('askedOf()', () => {
  it.each(rows)('%s is %j', (path, subresources) => {
    const segments = path.split('/').filter((part) => part !== '');
    expect(askedOf('GET', segments)).toEqual({ verb: 'get', subresources });
  });

  it.each([
    ['POST', 'create'],
    ['PUT', 'update'],
    ['PATCH', 'patch'],
    ['DELETE', 'delete'],
    ['HEAD', ''],
    ['OPTIONS', ''],
  ])('%s is %j', (method, verb) => expect(askedOf(method, []).verb).toBe(verb));

  it('says all that was asked for in a refusal', () => {
    expect(describeForbidden('bob', askedOf('GET', ['pods']))).toBe(
      'Forbidden (user=bob, verb=get, resource=nodes, subresource(s)=[pods proxy])\n',
    );
  });
});
