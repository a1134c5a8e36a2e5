import { execFileSync } from 'node:child_process';
import { Command, Option } from 'commander';
import { describe, expect, it } from 'vitest';
import { renderCompletion } from './completion.ts';

function program(): Command {
  const root = new Command('podwright').option('--version', 'print it');
  root
    .command('up')
    .description("start a cluster, Ctrl-C ends it; it's quick")
    .option('--nodes <n>', 'how many')
    .option('--data <dir>', 'where')
    .addOption(new Option('-o, --output <format>', 'text or json').choices(['text', 'json']));
  const image = root.command('image').description('images');
  image.command('import').argument('<archive...>').option('--name <reference>', 'a name');
  image.command('ls');
  root.command('load', { hidden: true });
  return root;
}

/** What bash offers at the end of a line. */
function offered(line: string): readonly string[] {
  const words = line.split(' ');
  const script = `${renderCompletion(program(), 'bash')}
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
    _podwright; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split('\n').toSorted();
}

describe('renderCompletion()', () => {
  it.each([
    ['podwright ', ['--help', '--version', '-h', 'help', 'image', 'up']],
    ['podwright u', ['up']],
    ['podwright image ', ['--help', '-h', 'help', 'import', 'ls']],
    ['podwright image i', ['import']],
    ['podwright image import --n', ['--name']],
    ['podwright up --', ['--data', '--help', '--nodes', '--output']],
    ['podwright up --output ', ['json', 'text']],
    ['podwright up -o j', ['json']],
    ['podwright up --nodes ', ['']],
  ])('bash: %s', (line, want) => {
    expect(offered(line)).toEqual(want);
  });

  it('zsh goes by its bashcompinit, and fish has a line for each', () => {
    expect(renderCompletion(program(), 'zsh')).toContain('bashcompinit');
    expect(renderCompletion(program(), 'fish').split('\n')).toEqual(
      expect.arrayContaining([
        "complete -c podwright -f -n 'not __fish_seen_subcommand_from up image help' -a up -d 'start a cluster, Ctrl-C ends it; it\\'s quick'",
        "complete -c podwright -n '__fish_seen_subcommand_from up' -l data -r -d 'where'",
        "complete -c podwright -n '__fish_seen_subcommand_from up' -l output -s o -x -a 'text json' -d 'text or json'",
      ]),
    );
  });
});
