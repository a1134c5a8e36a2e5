/** A terminal session as an SVG picture: no scripts, no fonts of its own, the same input gives the same bytes. Pure. */

/** What was typed, or what came back. `atMs`: since the start of the session, as it is shown. */
export interface CastLine {
  readonly kind: 'typed' | 'output' | 'note';
  readonly text: string;
  readonly atMs: number;
}

export interface Cast {
  readonly title: string;
  readonly lines: readonly CastLine[];
}

const columns = 104;
const fontSize = 13;
/** Every line is stretched to this, so that columns stand below each other whatever font the reader's machine has. */
const charWidth = 7.8;
const lineHeight = 18;
const margin = 16;
const titleHeight = 30;
const fadeMs = 120;

const colours: Readonly<Record<CastLine['kind'], string>> = {
  typed: '#e6edf3',
  output: '#a9b4c0',
  note: '#7d8590',
};

/**
 * The picture plays once and stays at its end; readers who asked for less motion, and programs that do not animate, see the
 * end at once. Lines longer than the picture is wide are cut, with an ellipsis.
 */
export function renderCast(cast: Cast): string {
  const width = Math.round(columns * charWidth) + 2 * margin;
  const height = titleHeight + cast.lines.length * lineHeight + margin;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(cast.title)}">`,
    '<style>',
    `text { font: ${fontSize}px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre; }`,
    '@media (prefers-reduced-motion: no-preference) {',
    `  .line { animation: show ${fadeMs}ms linear backwards; }`,
    '  @keyframes show { from { opacity: 0; } to { opacity: 1; } }',
    '}',
    '</style>',
    `<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>`,
    ...['#ff5f57', '#febc2e', '#28c840'].map(
      (fill, index) => `<circle cx="${margin + 5 + index * 18}" cy="16" r="5" fill="${fill}"/>`,
    ),
    `<text x="${width / 2}" y="20" text-anchor="middle" fill="#7d8590">${escapeXml(cast.title)}</text>`,
    ...cast.lines.map((line, index) => renderLine(line, titleHeight + (index + 1) * lineHeight)),
    '</svg>',
    '',
  ].join('\n');
}

function renderLine(line: CastLine, y: number): string {
  const prompt = line.kind === 'typed' ? '$ ' : '';
  const text = cut(`${prompt}${line.text}`);
  if (text === '') return '';
  const spans =
    prompt === ''
      ? escapeXml(text)
      : `<tspan fill="#3fb950">$</tspan>${escapeXml(text.slice(prompt.length - 1))}`;
  const length = (text.length * charWidth).toFixed(1);
  return `<text class="line" style="animation-delay:${line.atMs}ms" x="${margin}" y="${y}" textLength="${length}" xml:space="preserve" fill="${colours[line.kind]}">${spans}</text>`;
}

function cut(text: string): string {
  const plain = text.trimEnd();
  return plain.length <= columns ? plain : `${plain.slice(0, columns - 1)}…`;
}

/** Also characters that XML has no place for, such as a terminal's escapes. */
function escapeXml(text: string): string {
  return text
    .replaceAll(/[^\n -~\u{a0}-\u{d7ff}\u{e000}-\u{fffd}]/gu, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
