import { expect, it } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { Nominations } from './nominations.ts';

const pod: Pod = { metadata: { name: 'p', namespace: 'default' }, spec: { containers: [] } };
const key = 'default/p';

it.each<{ readonly name: string; readonly after: (nominations: Nominations) => void; readonly want: number }>(
  [
    { name: 'it is gone', after: (one) => one.remove(key), want: 1 },
    { name: 'it is on another node', after: (one) => one.remove(key, 'b'), want: 1 },
    { name: 'it is where it was nominated to', after: (one) => one.remove(key, 'a'), want: 0 },
    { name: 'it is nominated to another', after: (one) => one.nominate(pod, 'b'), want: 1 },
    { name: 'it is nominated there again', after: (one) => one.nominate(pod, 'a'), want: 0 },
    { name: 'it says that it waits for none', after: (one) => one.take(key, pod), want: 1 },
  ],
)('what is kept of a node for a pod is free for others: $name', ({ after, want }) => {
  const freed: Pod[] = [];
  const nominations = new Nominations((one) => freed.push(one));
  nominations.nominate(pod, 'a');
  after(nominations);
  expect(freed).toHaveLength(want);
});
