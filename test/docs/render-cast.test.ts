import { describe, expect, it } from 'vitest';

import { renderCast } from './render-cast.ts';

const lines = [
  { kind: 'typed', text: 'echo "a < b"', atMs: 0 },
  { kind: 'output', text: 'a < b\u001B[0m & c', atMs: 300 },
] as const;

describe('renderCast()', () => {
  it('gives the same bytes for the same session', () => {
    expect(renderCast({ title: 't', lines })).toBe(renderCast({ title: 't', lines }));
  });

  it('escapes what XML would take for its own, and drops control characters', () => {
    const svg = renderCast({ title: 't', lines });
    expect(svg).toContain('</tspan> echo &quot;a &lt; b&quot;</text>');
    expect(svg).toContain('>a &lt; b[0m &amp; c</text>');
  });

  it('refers to nothing outside itself and runs nothing', () => {
    const svg = renderCast({ title: 't', lines });
    expect(svg).not.toMatch(/<script|<image|href=|url\(|@import|@font-face/);
  });

  it('cuts a line at the width of the picture', () => {
    const svg = renderCast({ title: 't', lines: [{ kind: 'output', text: 'x'.repeat(300), atMs: 0 }] });
    expect(svg).toContain(`>${'x'.repeat(103)}…</text>`);
  });
});
