import { describe, expect, it } from 'vitest';
import { LinkRewriter, rewriteUrl } from './rewrite-links.ts';

const prefix = '/api/v1/namespaces/n/pods/p:80/proxy';
const place = { prefix, hosts: ['10.244.0.5:80', 'kube.example'] };

describe('rewriteUrl()', () => {
  it.each([
    ['/', `${prefix}/`],
    ['/x', `${prefix}/x`],
    ['/x/?a=/b#c', `${prefix}/x/?a=/b#c`],
    ['/x//y/', `${prefix}/x/y/`],
    ['http://10.244.0.5:80/x', `${prefix}/x`],
    ['//kube.example/x', `${prefix}/x`],
    [`${prefix}/x`, `${prefix}/x`],
    ['x', 'x'],
    ['../x', '../x'],
    ['?a=b', '?a=b'],
    ['#top', '#top'],
    ['', ''],
    ['http://other.example/x', 'http://other.example/x'],
    ['//other.example/x', '//other.example/x'],
    ['mailto:/a@b', 'mailto:/a@b'],
    ['data:/,x', 'data:/,x'],
  ])('%s: %s', (url, want) => expect(rewriteUrl(url, place)).toBe(want));
});

const pages: readonly { readonly given: string; readonly want: string }[] = [
  { given: '<a href="/x">x</a>', want: `<a href="${prefix}/x">x</a>` },
  { given: "<A HREF='/x' class=a>", want: `<A HREF='${prefix}/x' class=a>` },
  { given: '<img alt="/no" src=/x.png>', want: `<img alt="/no" src=${prefix}/x.png>` },
  { given: '<form method=post action = "/go">', want: `<form method=post action = "${prefix}/go">` },
  { given: '<a href="x">a < b</a> 1<2', want: '<a href="x">a < b</a> 1<2' },
  { given: '<p href="/x">', want: '<p href="/x">' },
  { given: '<a title="a > b" href="/x">', want: `<a title="a > b" href="${prefix}/x">` },
  {
    given: '<!-- <a href="/x"> --><link href="/s">',
    want: `<!-- <a href="/x"> --><link href="${prefix}/s">`,
  },
  {
    given: '<script src="/j">let a = \'<a href="/x">\';</script><a href="/y">',
    want: `<script src="${prefix}/j">let a = '<a href="/x">';</script><a href="${prefix}/y">`,
  },
  { given: '<!DOCTYPE html>\u00e9\u00ff', want: '<!DOCTYPE html>\u00e9\u00ff' },
  { given: '<a href="/x', want: '<a href="/x' },
];

describe('LinkRewriter', () => {
  it.each(pages)('$given, cut anywhere', ({ given, want }) => {
    for (let cut = 0; cut <= given.length; cut++) {
      const rewriter = new LinkRewriter(place);
      const pieces = [given.slice(0, cut), given.slice(cut)].map((piece) => rewriter.push(piece));
      expect([...pieces, rewriter.end()].join('')).toBe(want);
    }
  });

  it('keeps no more than it says of a tag without end, and passes it on', () => {
    const rewriter = new LinkRewriter(place);
    const given = `<a ${'x'.repeat(70_000)}`;
    expect(rewriter.push(given).length).toBeGreaterThan(0);
    const again = new LinkRewriter(place);
    expect(again.push(given) + again.end()).toBe(given);
  });
});
