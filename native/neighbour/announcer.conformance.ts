import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Announcer, AnnouncerLink, HeardClaim, OpenAnnouncer } from './announcer.ts';

export interface LinkGiven extends AsyncDisposable {
  /** Three hosts of one link; each opens announcers on its own end of it. */
  readonly hosts: readonly { readonly link: AnnouncerLink; readonly open: OpenAnnouncer }[];
}

interface Station extends AsyncDisposable {
  readonly mac: string;
  readonly announcer: Announcer;
  readonly heard: HeardClaim[];
}

/** What an announcer is, whatever the link. */
export function announcerConformance(name: string, start: () => Promise<LinkGiven>): void {
  describe(`${name}: announcer`, () => {
    let given: LinkGiven;
    beforeAll(async () => void (given = await start()));
    afterAll(() => given[Symbol.asyncDispose]());

    const station = async (at: number, watched: readonly string[] = []): Promise<Station> => {
      const host = given.hosts[at];
      if (host === undefined) throw new Error(`no host ${at}`);
      const heard: HeardClaim[] = [];
      const announcer = await host.open({ link: host.link, onHeard: (claim) => void heard.push(claim) });
      announcer.setWatched(new Set(watched));
      return {
        mac: host.link.mac,
        announcer,
        heard,
        [Symbol.asyncDispose]: () => announcer[Symbol.asyncDispose](),
      };
    };

    describe.each(['203.0.113.5', 'fd00:9::5'])('%s', (address) => {
      test('who asks is answered by who has it, all of them asked or one', async () => {
        await using holder = await station(0);
        await using asker = await station(1, [address]);
        holder.announcer.setAnswered(new Set([address]));
        const claim = { address, mac: holder.mac };
        for (const toMac of [undefined, holder.mac]) {
          asker.heard.length = 0;
          await expect
            .poll(() => {
              asker.announcer.ask(address, toMac);
              return asker.heard;
            })
            .toContainEqual(claim);
        }
      });

      test('an announcement is heard by all who watch for it', async () => {
        await using holder = await station(0, [address]);
        await using second = await station(1, [address]);
        await using third = await station(2, ['203.0.113.6']);
        await expect
          .poll(() => {
            holder.announcer.announce(address);
            return second.heard;
          })
          .toContainEqual({ address, mac: holder.mac });
        expect([holder.heard, third.heard]).toEqual([[], []]);
      });

      test('nobody answers for what he has no more, or once he is gone', async () => {
        const holder = await station(0);
        await using second = await station(2);
        await using asker = await station(1, [address, '203.0.113.9']);
        const isAnsweredBy = async (mac: string): Promise<void> => {
          await expect
            .poll(() => {
              asker.announcer.ask(address);
              return asker.heard.some((claim) => claim.mac === mac && claim.address === address);
            })
            .toBe(true);
        };
        holder.announcer.setAnswered(new Set([address]));
        await isAnsweredBy(holder.mac);
        holder.announcer.setAnswered(new Set());
        second.announcer.setAnswered(new Set([address]));
        await isAnsweredBy(second.mac);
        asker.heard.length = 0;
        await isAnsweredBy(second.mac);
        expect(asker.heard.filter(({ mac }) => mac === holder.mac)).toEqual([]);
        await holder[Symbol.asyncDispose]();
        await isAnsweredBy(second.mac);
      });
    });
  });
}
