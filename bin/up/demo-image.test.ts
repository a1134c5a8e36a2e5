import { expect, it } from 'vitest';

import { renderMissing, renderReady } from './demo-image.ts';

const ready = { seconds: '1.8', kubeconfig: '/data/kubeconfig' };

it('renderReady() proposes the demo image where it is', () => {
  expect(renderReady({ ...ready, hasDemoImage: true })).toBe(
    'ready in 1.8 s\n\n  export KUBECONFIG=/data/kubeconfig\n  kubectl create deployment web --image=podwright/demo:1 --replicas=2\n',
  );
});

it('renderReady() proposes nothing that needs the demo image where it is not', () => {
  expect(renderReady({ ...ready, hasDemoImage: false })).toBe(
    'ready in 1.8 s\n\n  export KUBECONFIG=/data/kubeconfig\n',
  );
});

it('renderMissing() is one line with the nodes and the reason', () => {
  const missing = [
    { node: 'node-1', why: 'unpack layer a: no space left in /data/node-1; free some there' },
    { node: 'node-2', why: 'unpack layer a: no space left in /data/node-2; free some there' },
  ];
  expect(renderMissing(missing)).toBe(
    'no image podwright/demo:1 on node-1, node-2: unpack layer a: no space left in /data/node-1; free some there',
  );
});
