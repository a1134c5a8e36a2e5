import { describe, expect, it } from 'vitest';
import type { Xtables } from './xtables.ts';

export interface XtablesGiven {
  /** Of a namespace of the test's own. */
  readonly xtables: Xtables;
}

const rule = '-s 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-B';

/** What holds of iptables of a host and of the fake. `open` is called once for each test, in an empty namespace. */
export function describeXtables(name: string, open: () => Promise<XtablesGiven>): void {
  describe(`xtables: ${name}`, () => {
    it('has nothing before anything was made, and asking makes nothing', async () => {
      const { xtables } = await open();
      expect(await xtables.hasTables(4)).toBe(false);
      expect((await xtables.save(4)).size).toBe(0);
      expect(await xtables.hasTables(4)).toBe(false);
      await xtables.restore(4, '');
      expect((await xtables.save(4)).size).toBe(0);
    });

    it('makes chains, leaves what a text does not name, and empties what it names again', async () => {
      const { xtables } = await open();
      await xtables.restore(
        4,
        `*nat\n:KUBE-A - [0:0]\n:KUBE-B - [0:0]\n-A KUBE-A ${rule}\n-I PREROUTING -j KUBE-A\nCOMMIT\n`,
      );
      expect(await xtables.hasTables(4)).toBe(true);
      await xtables.restore(4, '*nat\n:KUBE-B - [0:0]\n-A KUBE-B -j RETURN\nCOMMIT\n');
      const nat = (await xtables.save(4)).get('nat');
      expect([nat?.get('PREROUTING'), nat?.get('KUBE-A'), nat?.get('KUBE-B')]).toEqual([
        ['-j KUBE-A'],
        [rule],
        ['-j RETURN'],
      ]);
      await xtables.restore(4, '*nat\n:KUBE-A - [0:0]\nCOMMIT\n');
      expect((await xtables.save(4)).get('nat')?.get('KUBE-A')).toEqual([]);
      expect(await xtables.hasTables(6)).toBe(false);
    });

    it('inserts before what is there, and removes by what it said of a rule', async () => {
      const { xtables } = await open();
      await xtables.restore(4, '*nat\n:KUBE-A - [0:0]\n:KUBE-B - [0:0]\n-A OUTPUT -j KUBE-A\nCOMMIT\n');
      await xtables.restore(4, '*nat\n-I OUTPUT -j KUBE-B\nCOMMIT\n');
      const output = (await xtables.save(4)).get('nat')?.get('OUTPUT') ?? [];
      expect(output).toEqual(['-j KUBE-B', '-j KUBE-A']);
      await xtables.restore(4, `*nat\n:KUBE-A - [0:0]\n-D OUTPUT ${output[1]}\n-X KUBE-A\nCOMMIT\n`);
      const nat = (await xtables.save(4)).get('nat');
      expect([nat?.get('OUTPUT'), nat?.has('KUBE-A')]).toEqual([['-j KUBE-B'], false]);
    });

    it.each([
      ['a chain that is not there', '-A KUBE-A -j KUBE-NONE'],
      ['the removal of one that rules lead to', '-X KUBE-B'],
      ['the removal of a rule that is not there', '-D OUTPUT -j KUBE-B'],
    ])('refuses %s, and nothing of its table changes', async (_name, line) => {
      const { xtables } = await open();
      await xtables.restore(4, '*nat\n:KUBE-A - [0:0]\n:KUBE-B - [0:0]\n-A KUBE-A -j KUBE-B\nCOMMIT\n');
      const before = await xtables.save(4);
      const text = `*nat\n:KUBE-C - [0:0]\n-A KUBE-C -j RETURN\n${line}\nCOMMIT\n`;
      await expect(xtables.restore(4, text)).rejects.toMatchObject({ code: 'E_KERNEL' });
      expect(await xtables.save(4)).toEqual(before);
    });
  });
}
