"""How report.html looks: light and dark, on a phone and on paper."""

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de;
  --shade: #f6f8fa; --accent: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --paper: #11151a; --ink: #e6edf3; --soft: #9da7b3;
  --line: #3a424c; --shade: #1b2129; --accent: #79b8ff; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0 auto; padding: 1rem 1.25rem 4rem; max-width: 64rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: .5rem 0; font-size: 1.75rem; }
h2 { margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line);
  font-size: 1.25rem; }
p { margin: .6rem 0; max-width: 46rem; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.verdict { padding: .75rem 1rem; border-left: 4px solid var(--accent); background: var(--shade);
  font-size: 1.1rem; max-width: none; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr));
  gap: .75rem; margin: 1rem 0; }
dl div { padding: .6rem .9rem; border: 1px solid var(--line); border-radius: 6px; }
dt { color: var(--soft); font-size: .875rem; }
dd { margin: 0; font-size: 1.1rem; font-weight: 600; font-variant-numeric: tabular-nums; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; margin: 1rem 0;
  list-style: none; }
nav a { display: inline-block; padding: .25rem 0; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9375rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .25rem; }
th, td { padding: .35rem .75rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: bottom; overflow-wrap: normal; }
td { white-space: nowrap; }
.text { min-width: 8rem; max-width: 18rem; text-align: left; white-space: normal;
  overflow-wrap: anywhere; }
thead th { background: var(--shade); font-weight: 600; }
tbody th { max-width: 18rem; font-weight: 500; overflow-wrap: anywhere; }
th:first-child { text-align: left; }
.picture { background: #fff; border: 1px solid var(--line); border-radius: 6px; padding: .5rem; }
img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
img.wide { min-width: 40rem; }
pre { overflow-x: auto; padding: .75rem 1rem; border-radius: 6px; background: var(--shade);
  font: .8125rem/1.35 ui-monospace, monospace; overflow-wrap: normal; }
ol { padding-left: 2rem; }
@media print { nav { display: none; } section { break-inside: avoid; } }
"""
