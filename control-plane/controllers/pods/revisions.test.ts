import { expect, it } from 'vitest';
import { revisionData } from './revisions.ts';

it('revisionData() has its members in the order in which Go writes a map, at any depth', () => {
  const template = {
    spec: {
      restartPolicy: 'Always' as const,
      containers: [{ name: 'c', image: 'i', env: [{ value: '1', name: 'A' }], Z: undefined }],
    },
    metadata: { labels: { b: '1', a: '2', B: '3' } },
  };
  expect(JSON.stringify(revisionData(template))).toBe(
    '{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"B":"3","a":"2","b":"1"}},"spec":{"containers":[{"env":[{"name":"A","value":"1"}],"image":"i","name":"c"}],"restartPolicy":"Always"}}}}',
  );
});
