/** The path of a request to a node, which is judged by one part and served by others. */
import { array, constantFrom, oneof, string, tuple } from 'fast-check';
import { expect } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { pageForm } from '#api/config/z-pages.ts';
import { systemClock } from '#base/clock.ts';
import { createFakeRuntime } from '#agent/runtime/runtime.fake.ts';
import { askedOf } from '#agent/kubelet/server/access/asked.ts';
import { parseStreamCall } from '#agent/kubelet/server/stream-call.ts';
import { targetOf } from '#agent/kubelet/server/target.ts';
import { fuzz } from './fuzz.ts';

const pod: Pod = {
  metadata: { name: 'web', namespace: 'default', uid: 'u1' },
  spec: { nodeName: 'n', containers: [{ name: 'main', image: 'i' }] },
};
const search = { runtime: createFakeRuntime({ clock: systemClock }), podByName: () => pod };

/** Words that lead somewhere, ways to write them otherwise, and anything. */
const segment = oneof(
  constantFrom(
    'exec',
    'attach',
    'portForward',
    'containerLogs',
    'metrics',
    'stats',
    'pods',
    'healthz',
    'logs',
  ),
  constantFrom(
    '',
    '.',
    '..',
    '%2e%2e',
    '%2f',
    '%2E',
    '%',
    '%zz',
    '%c3',
    '%65xec',
    'metrics%2f..%2fexec',
    'exec%2f',
  ),
  constantFrom('default', 'web', 'main', 'u1', '\\', 'EXEC', '?', '#', ';', '//'),
  string(),
);

fuzz('paths of a node: what is served is what was judged', {
  arbitrary: tuple(array(segment, { maxLength: 8 }), constantFrom('', '?command=a&output=1', '?port=1')),
  check: ([segments, query]) => {
    const target = targetOf({ url: `/${segments.join('/')}${query}` });
    if (target === undefined) return;
    const { subresources } = askedOf('GET', target.segments);
    // Whatever leads to a stream, found or not, takes a right to nodes/proxy.
    if (parseStreamCall(target.url, search) !== undefined) expect(subresources).toEqual(['proxy']);
    if (target.segments[0] === 'containerLogs') expect(subresources).toEqual(['proxy']);
  },
});

fuzz('Accept of a page', {
  arbitrary: oneof(
    string(),
    array(
      constantFrom('application/json', ';', 'v=v1beta1', 'g=config.k8s.io', 'as=Flagz', ',', '*/*', '='),
      {
        maxLength: 12,
      },
    ).map((parts) => parts.join('')),
  ),
  check: (accept) => {
    const form = pageForm(accept, 'Flagz');
    if (form !== undefined && form !== 'text') expect(['v1alpha1', 'v1beta1']).toContain(form.version);
  },
});
