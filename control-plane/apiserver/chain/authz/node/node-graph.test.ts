import { describe, expect, it } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { NodeGraph } from './node-graph.ts';

const pod = (name: string, more: object = {}, status: object = {}): Pod => ({
  metadata: { name, namespace: 'n' },
  spec: {
    nodeName: 'a',
    serviceAccountName: 'default',
    imagePullSecrets: [{ name: 'pull' }],
    containers: [
      {
        name: 'c',
        env: [{ name: 'E', valueFrom: { secretKeyRef: { name: 'env', key: 'k' } } }],
        envFrom: [{ configMapRef: { name: 'all' } }],
      },
    ],
    volumes: [
      { name: 's', secret: { secretName: 'vol' } },
      { name: 'p', projected: { sources: [{ configMap: { name: 'proj' } }] } },
      { name: 'd', persistentVolumeClaim: { claimName: 'data' } },
      { name: 'e', ephemeral: {} },
    ],
    ...more,
  },
  status,
});
const named = [
  'pods/p',
  'secrets/pull',
  'secrets/env',
  'secrets/vol',
  'configmaps/all',
  'configmaps/proj',
  'persistentvolumeclaims/data',
  'persistentvolumeclaims/p-e',
  'serviceaccounts/default',
];
const concerns = (graph: NodeGraph, what: string, node = 'a', namespace = 'n'): boolean => {
  const [resource = '', name = ''] = what.split('/');
  return graph.concerns(node, resource, namespace, name);
};

describe('NodeGraph', () => {
  it.each(named)('ties %s to the node of the pod that names it, and to no other', (what) => {
    const graph = new NodeGraph();
    graph.putPod('n/p', pod('p'));
    expect(concerns(graph, what)).toBe(true);
    expect(concerns(graph, what, 'b')).toBe(false);
    expect(concerns(graph, what, 'a', 'm')).toBe(false);
    graph.removePod('n/p');
    expect(concerns(graph, what)).toBe(false);
  });

  it('keeps what two pods name until both are gone', () => {
    const graph = new NodeGraph();
    graph.putPod('n/p', pod('p'));
    graph.putPod('n/q', pod('q'));
    graph.removePod('n/p');
    expect(concerns(graph, 'secrets/env')).toBe(true);
    graph.removePod('n/q');
    expect(concerns(graph, 'secrets/env')).toBe(false);
  });

  it('unties a pod that is over from all but itself, and ties one that is bound later', () => {
    const graph = new NodeGraph();
    graph.putPod('n/p', pod('p', { nodeName: '' }));
    expect(concerns(graph, 'secrets/env')).toBe(false);
    graph.putPod('n/p', pod('p'));
    expect(concerns(graph, 'secrets/env')).toBe(true);
    graph.putPod('n/p', pod('p', {}, { phase: 'Succeeded' }));
    expect(concerns(graph, 'secrets/env')).toBe(false);
    expect(concerns(graph, 'pods/p')).toBe(true);
  });

  it('ties the volume of a claim, and its secrets', () => {
    const graph = new NodeGraph();
    graph.putPod('n/p', pod('p'));
    const secretRef = { name: 'disk', namespace: 'x' };
    const volume = {
      metadata: { name: 'v' },
      spec: {
        claimRef: { namespace: 'n', name: 'data' },
        csi: { driver: 'd', volumeHandle: 'h', nodeStageSecretRef: secretRef },
      },
    };
    graph.putVolume(volume);
    expect(graph.concerns('a', 'persistentvolumes', '', 'v')).toBe(true);
    expect(graph.concerns('b', 'persistentvolumes', '', 'v')).toBe(false);
    expect(concerns(graph, 'secrets/disk', 'a', 'x')).toBe(true);
    graph.putVolume({ ...volume, spec: { ...volume.spec, claimRef: { namespace: 'n', name: 'other' } } });
    expect(graph.concerns('a', 'persistentvolumes', '', 'v')).toBe(false);
    graph.removeVolume('v');
    expect(concerns(graph, 'secrets/disk', 'a', 'x')).toBe(false);
  });

  it('ties what names its node itself', () => {
    const graph = new NodeGraph();
    graph.putOwn('resourceslices/s', 'a');
    expect(graph.concerns('a', 'resourceslices', '', 's')).toBe(true);
    graph.putOwn('resourceslices/s', undefined);
    expect(graph.concerns('a', 'resourceslices', '', 's')).toBe(false);
  });
});
