import { describe, expect, it } from 'vitest';
import { pageForm, renderFlags, renderStatus, type PageForm } from './z-pages.ts';

const structured = (version: string, as = 'Statusz'): string =>
  `application/json;v=${version};g=config.k8s.io;as=${as}`;

describe('pageForm()', () => {
  it.each<[string | undefined, PageForm | undefined]>([
    [undefined, 'text'],
    ['', 'text'],
    ['*/*', 'text'],
    ['text/plain', 'text'],
    ['text/plain; charset=utf-8', 'text'],
    ['application/json, */*', 'text'], // kubectl get --raw
    [structured('v1alpha1'), { version: 'v1alpha1' }],
    [structured('v1beta1'), { version: 'v1beta1' }],
    [`${structured('v9')},*/*`, 'text'],
    [`${structured('v9')}, ${structured('v1beta1')}`, { version: 'v1beta1' }],
    [structured('v9'), undefined],
    [structured('v1beta1', 'Flagz'), undefined],
    ['application/json', undefined],
    ['application/json;v=v1beta1;g=config.k8s.io', undefined],
    ['application/xml', undefined],
  ])('of %j is %j', (accept, want) => expect(pageForm(accept, 'Statusz')).toEqual(want));
});

const status = {
  ...{ component: 'kubelet', nowMs: 3_661_000, upSeconds: 3661 },
  paths: ['/', '/livez', '/livez/ping', '/api', '/stats/summary'],
};

describe('renderStatus()', () => {
  it('says since when a program runs, and which paths there are', () => {
    expect(renderStatus(status, 'text').split('\n')).toEqual([
      '',
      'kubelet statusz',
      expect.stringMatching(/^Warning: This endpoint is not meant to be machine parseable/),
      '',
      'Started: Thu Jan  1 00:00:00 UTC 1970',
      'Up: 1 hr 01 min 01 sec',
      `Go version: node${process.versions.node}`,
      expect.stringMatching(/^Binary version: 1\.36\./),
      'Emulation version: 1.36',
      'Paths: /api /livez /stats',
      '',
    ]);
  });

  it('is an object where one is asked for', () => {
    expect(JSON.parse(renderStatus(status, { version: 'v1beta1' }))).toEqual({
      kind: 'Statusz',
      apiVersion: 'config.k8s.io/v1beta1',
      metadata: { name: 'kubelet' },
      startTime: '1970-01-01T00:00:00Z',
      uptimeSeconds: 3661,
      goVersion: `node${process.versions.node}`,
      binaryVersion: expect.stringMatching(/^1\.36\./),
      emulationVersion: '1.36',
      paths: ['/api', '/livez', '/stats'],
    });
  });
});

describe('renderFlags()', () => {
  it('lists them in order', () => {
    expect(renderFlags('kubelet', { b: '2', a: '1' }, 'text')).toMatch(
      /^\nkubelet flagz\nWarning: .*\n\na=1\nb=2\n$/,
    );
  });

  it('is an object where one is asked for', () => {
    expect(JSON.parse(renderFlags('kubelet', { b: '2', a: '1' }, { version: 'v1alpha1' }))).toEqual({
      kind: 'Flagz',
      apiVersion: 'config.k8s.io/v1alpha1',
      metadata: { name: 'kubelet' },
      flags: { a: '1', b: '2' },
    });
  });
});
