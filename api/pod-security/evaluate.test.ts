import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { at as valueAt, objectOf, withPath } from '#api/wire/json.ts';
import type { JudgedPod } from './control.ts';
import {
  at,
  baselineRows,
  judgedVersions,
  restrictedPod,
  restrictedRows,
  type Change,
  type ControlRow,
} from './controls.fixture.ts';
import { complaintsText, controls, evaluate, newestMinor, reasonsText } from './evaluate.ts';
import { judgedPodIn } from './judged-pod.ts';
import type { Version } from './policy.ts';

function changed(change: Change): JudgedPod {
  const [container] = [objectOf((valueAt(restrictedPod, 'spec.containers') as JsonObject[])[0])];
  const isOfContainer = (path: string): boolean => path.startsWith('c.');
  const entries = Object.entries(change);
  const own = entries
    .filter(([path]) => isOfContainer(path))
    .reduce((next, [path, value]) => withPath(next, path.slice(2), value), container);
  const pod = entries
    .filter(([path]) => !isOfContainer(path))
    .reduce(
      (next, [path, value]) => withPath(next, path, value),
      withPath(restrictedPod, 'spec.containers', [own]),
    );
  const judged = judgedPodIn(pod, 'spec');
  if (judged === undefined) throw new Error('no pod');
  return judged;
}

const minorOf = (version: Version): number => (version === 'latest' ? newestMinor : version);
const both: readonly { readonly level: 'baseline' | 'restricted'; readonly rows: readonly ControlRow[] }[] = [
  { level: 'baseline', rows: baselineRows },
  { level: 'restricted', rows: restrictedRows },
];

describe('controls', () => {
  it('have a row each, and their order is that of their ids, those of baseline first', () => {
    const ids = (level: string): readonly string[] =>
      controls.filter((control) => control.level === level).map(({ id }) => id);
    for (const { level, rows } of both) {
      expect(rows.map(({ control }) => control)).toEqual(ids(level));
      expect(ids(level)).toEqual(ids(level).toSorted());
    }
    expect(controls.slice(0, baselineRows.length).every(({ level }) => level === 'baseline')).toBe(true);
  });

  it('have versions in order, of which the newest is that of 1.35', () => {
    for (const { versions } of controls) {
      const since = versions.map((version) => version.since);
      expect(since).toEqual(since.toSorted((a, b) => a - b));
    }
    expect(newestMinor).toBe(35);
  });

  it('override those of baseline that there are', () => {
    const baseline = controls.filter(({ level }) => level === 'baseline').map(({ id }) => id);
    for (const { versions } of controls)
      for (const { overrides = [] } of versions)
        expect(baseline).toEqual(expect.arrayContaining([...overrides]));
  });
});

describe.each(both)('evaluate() at level $level', ({ level, rows }) => {
  const versions = judgedVersions.map((version) => ({ version }));

  it.each(versions)('lets a restricted pod pass at $version', ({ version }) => {
    expect(evaluate(at(level, version), changed({}))).toEqual([]);
  });

  describe.each(rows)('$control', ({ passes, fails }) => {
    it.each(versions)('lets pass at $version', ({ version }) => {
      for (const pod of passes) expect(complaintsText(evaluate(at(level, version), changed(pod)))).toBe('');
    });

    it.each(fails)('at each version says: $says', ({ pod, says, since = 0, until = Infinity }) => {
      for (const version of judgedVersions) {
        const isBad = minorOf(version) >= since && minorOf(version) < until;
        const said = evaluate(at(level, version), changed(pod)).map((one) => complaintsText([one]));
        expect({ version, isSaid: said.includes(says) }).toEqual({ version, isSaid: isBad });
        // One fault, one complaint: what a control of restricted says, baseline's does not say again.
        if (isBad) expect({ version, reasons: said.length }).toEqual({ version, reasons: 1 });
      }
    });
  });
});

describe('evaluate()', () => {
  it('asks nothing at level privileged', () => {
    const everything = Object.assign({}, ...baselineRows.map(({ fails: [first] }) => first?.pod));
    for (const version of judgedVersions)
      expect(evaluate(at('privileged', version), changed(everything))).toEqual([]);
  });

  it('has a restricted namespace ask what baseline does', () => {
    for (const { control, fails } of baselineRows) {
      const isOverridden = controls.some(({ versions }) =>
        versions.some(({ overrides = [] }) => overrides.includes(control)),
      );
      if (isOverridden) continue;
      for (const { pod, says, until = Infinity } of fails) {
        const version = Math.min(newestMinor, until - 1);
        expect(complaintsText(evaluate(at('restricted', version), changed(pod)))).toContain(says);
      }
    }
  });

  it('names all that is wrong, in order, and of many pods the reasons alone', () => {
    const bare = { 'c.securityContext': undefined, 'spec.hostNetwork': true, 'spec.hostPID': true };
    const complaints = evaluate(at('restricted', 'latest'), changed(bare));
    expect(complaintsText(complaints)).toBe(
      'host namespaces (hostNetwork=true, hostPID=true), ' +
        'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), ' +
        'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), ' +
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), ' +
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    );
    expect(reasonsText(complaints)).toBe(
      'host namespaces, allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile',
    );
  });

  it('bears pods of which everything is missing', () => {
    const pod = judgedPodIn({ spec: {} }, 'spec');
    for (const version of judgedVersions) expect(pod && evaluate(at('restricted', version), pod)).toEqual([]);
    expect(judgedPodIn({ spec: {} }, 'spec.template.spec')).toBeUndefined();
  });
});
