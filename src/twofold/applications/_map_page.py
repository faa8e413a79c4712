"""The page of a map: one SVG with a script of its own, for the pointer, the keyboard and a search."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

import numpy as np

from twofold.evaluation import page as pages
from twofold.typing import F64

WIDTH, HEIGHT, ROOM = 1000.0, 760.0, 14.0
"""Size of the drawing, which is scaled to the page, and its margin."""
INKS = ("#1f6feb", "#c2410c", "#15803d", "#9333ea", "#b45309", "#0e7490", "#be185d", "#9ca3af")
"""Colours on paper, those of the light page; the last one is of what has no group."""

STYLE = """
.map{max-width:none;position:relative;padding:.4rem}.map svg{touch-action:none;border-radius:8px}
.map svg:focus-visible{outline:3px solid var(--c0)}
.map circle{fill:var(--c);fill-opacity:.72;cursor:pointer}.map circle.off{display:none}.map circle.faint{fill-opacity:.12}
.map circle.at{fill-opacity:1;stroke:var(--ink);stroke-width:2;vector-effect:non-scaling-stroke}
.tools{display:flex;flex-wrap:wrap;gap:.4rem .6rem;align-items:center;margin:.5rem 0}
.tools button,.tools input{font:inherit;font-size:.9rem;color:var(--ink);background:var(--soft);border:1px solid var(--line);border-radius:8px;padding:.25rem .6rem}
.tools button[aria-pressed=false]{opacity:.45}
#said{min-height:1.6em;margin:.2rem 0;font-weight:600}
"""
SCRIPT = """
(function(){
const data=JSON.parse(document.getElementById('points').textContent),svg=document.getElementById('map'),
said=document.getElementById('said'),find=document.getElementById('find'),
dots=[...svg.querySelectorAll('circle')],xy=data.map(p=>[p[2],p[3]]),whole=[0,0,svg.viewBox.baseVal.width,svg.viewBox.baseVal.height];
let now=-1,box=whole.slice();
const text=i=>data[i][1]+(data[i][0]!==data[i][1]?' ('+data[i][0]+')':'')+(data[i][4]?' - '+data[i][4]:'');
function choose(i){if(i<0)return;if(now>=0)dots[now].classList.remove('at');now=i;dots[i].classList.add('at');said.textContent=text(i)}
const open=i=>!dots[i].classList.contains('off')&&!dots[i].classList.contains('faint');
function place(e){const m=svg.getScreenCTM().inverse();return new DOMPoint(e.clientX,e.clientY).matrixTransform(m)}
function near(p,most){let best=-1,least=most*most;for(let i=0;i<xy.length;i++){if(!open(i))continue;
const d=(xy[i][0]-p.x)**2+(xy[i][1]-p.y)**2;if(d<least){least=d;best=i}}return best}
svg.addEventListener('pointermove',e=>choose(near(place(e),box[2]/40)));
svg.addEventListener('pointerdown',e=>choose(near(place(e),box[2]/20)));
const ways={ArrowRight:[1,0],ArrowLeft:[-1,0],ArrowUp:[0,-1],ArrowDown:[0,1]};
svg.addEventListener('keydown',e=>{const w=ways[e.key];
if(w){e.preventDefault();if(now<0||!open(now)){choose(near({x:box[0]+box[2]/2,y:box[1]+box[3]/2},1e9));return}
let best=-1,least=Infinity;for(let i=0;i<xy.length;i++){if(i===now||!open(i))continue;
const x=xy[i][0]-xy[now][0],y=xy[i][1]-xy[now][1],on=x*w[0]+y*w[1],off=Math.abs(x*w[1])+Math.abs(y*w[0]);
if(on>0&&off<=on*1.5){const d=on+2*off;if(d<least){least=d;best=i}}}choose(best)}
else if(e.key==='+'||e.key==='=')zoom(.7);else if(e.key==='-')zoom(1/.7);else if(e.key==='0')zoom(0)});
function size(){dots.forEach(d=>d.setAttribute('r',5*Math.sqrt(box[2]/whole[2])))}
function zoom(by,p){if(!by)box=whole.slice();else{const w=Math.min(whole[2],Math.max(whole[2]/60,box[2]*by)),h=w*whole[3]/whole[2],
c=p||(now>=0?{x:xy[now][0],y:xy[now][1]}:{x:box[0]+box[2]/2,y:box[1]+box[3]/2}),fx=p?(c.x-box[0])/box[2]:.5,fy=p?(c.y-box[1])/box[3]:.5;
box=[c.x-w*fx,c.y-h*fy,w,h]}svg.setAttribute('viewBox',box.join(' '));size()}
svg.addEventListener('wheel',e=>{e.preventDefault();zoom(e.deltaY<0?.85:1/.85,place(e))},{passive:false});
document.querySelectorAll('[data-zoom]').forEach(b=>b.addEventListener('click',()=>zoom(+b.dataset.zoom)));
document.querySelectorAll('[data-group]').forEach(b=>b.addEventListener('click',()=>{
const on=b.getAttribute('aria-pressed')!=='true';b.setAttribute('aria-pressed',on);
dots.forEach(d=>{if(d.dataset.g===b.dataset.group)d.classList.toggle('off',!on)})}));
find.addEventListener('input',()=>{const q=find.value.trim().toLowerCase();let first=-1,n=0;
data.forEach((p,i)=>{const hit=!q||(p[1]+' '+p[0]).toLowerCase().includes(q);dots[i].classList.toggle('faint',!hit);
if(q&&hit&&!dots[i].classList.contains('off')){n++;if(first<0)first=i}});
if(first>=0){choose(first);said.textContent=n.toLocaleString('en')+' found; '+text(first)}else said.textContent=q?'nothing found':''});
})();
"""


def page(
    title: str,
    note: str,
    named: Sequence[tuple[str, str, int]],
    group: Sequence[str],
    points: F64,
    shown: Sequence[str],
) -> str:
    """Return the page of points (n, 2): id, label and colour of each, its group, and the groups in the legend."""
    places = scaled(points)
    groups = list(group) or [""] * len(named)
    dots = "".join(
        f'<circle class="c{colour}" cx="{x:.1f}" cy="{y:.1f}" r="5" data-g="{colour}"/>'
        for (_, _, colour), (x, y) in zip(named, places, strict=True)
    )
    data = [
        [one, label, round(float(x), 1), round(float(y), 1), of]
        for (one, label, _), (x, y), of in zip(named, places, groups, strict=True)
    ]
    # "<" would end the script early, whatever a label holds.
    held = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    legend = [*enumerate(shown)]
    if shown and any(colour == len(INKS) - 1 for _, _, colour in named):
        legend.append((len(INKS) - 1, "other"))
    keys = "".join(
        f'<button type="button" aria-pressed="true" data-group="{at}">{pages.key(name, at)}</button>'
        for at, name in legend
    )
    rows = [
        [pages.cell(escape(label), "words"), pages.cell(escape(one)), pages.cell(escape(of))]
        for (one, label, _), of in zip(named, groups, strict=True)
    ]
    told = f"{title}: {len(named):,} points. Arrow keys go from point to point, + and - zoom, 0 shows the whole."
    body = (
        f'<style>{STYLE}</style><h1>{escape(title)}</h1><p class="dim">{escape(note)}</p>'
        '<div class="tools"><label>Find <input id="find" type="search" autocomplete="off"></label>'
        '<button type="button" data-zoom="0.7">Zoom in</button>'
        '<button type="button" data-zoom="1.43">Zoom out</button>'
        f'<button type="button" data-zoom="0">Whole</button></div><div class="tools">{keys}</div>'
        '<p id="said" role="status" aria-live="polite"></p>'
        f'<figure class="map"><svg id="map" tabindex="0" role="application" aria-label="{escape(told)}" '
        f'viewBox="0 0 {WIDTH:g} {HEIGHT:g}">{dots}</svg></figure>'
        '<p class="dim">Point at a dot, or give the map the focus and use the arrow keys.</p>'
        + pages.details("All points", pages.table(["name", "id", "group"], rows, "All points"))
        + f'<script type="application/json" id="points">{held}</script><script>{SCRIPT}</script>'
    )
    return pages.document(title, body)


def scaled(points: F64) -> F64:
    """Return points (n, 2) in the drawing, as large as fits, true to scale, y upwards."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = high - low
    fits = [
        (room - 2 * ROOM) / one for room, one in zip((WIDTH, HEIGHT), span, strict=True) if one > 0
    ]
    scale = min(fits) if fits else 1.0
    middle = (points - (low + high) / 2) * scale
    middle[:, 1] *= -1
    return middle + np.array([WIDTH / 2, HEIGHT / 2])
