import { announcerConformance } from './announcer.conformance.ts';
import { createFakeLink } from './announcer.fake.ts';

announcerConformance('a link in memory', async () => {
  const { open } = createFakeLink();
  const hosts = [1, 2, 3].map((i) => ({ link: { index: i, mac: `02:00:00:00:00:0${i}`, ips: {} }, open }));
  return { hosts, [Symbol.asyncDispose]: async () => undefined };
});
