import"./chunk.S47QW7L4.js";var w=`query HomeClinics {
  clinics(first: 50) {
    edges {
      node {
        id
        name
        timeZone
        address {
          city
          region
        }
        visitTypes {
          id
          name
          durationMinutes
        }
      }
    }
    pageInfo {
      hasNextPage
    }
  }
}
`;var v=`query HomeOpenTimes($clinicId: ID!, $visitTypeId: ID!, $from: Date!, $to: Date!) {
  node(id: $clinicId) {
    ... on Clinic {
      providers(first: 20) {
        edges {
          node {
            id
            name
            slots(clinicId: $clinicId, visitTypeId: $visitTypeId, from: $from, to: $to, first: 8) {
              id
              startsAt
              localDate
            }
          }
        }
      }
    }
  }
}
`;var b=14,q=12,p=document.getElementById("demo"),[C,A,u]=["form","[role=status]",".times"].map(e=>p.querySelector(e)),{clinic:g,visitType:d}=C.elements,h=p.querySelector(".again"),m=[],y=new AbortController;async function $(e,t,n){let i=await fetch("/graphql",{method:"POST",credentials:"omit",headers:{accept:"application/graphql-response+json","content-type":"application/json"},body:JSON.stringify({query:e,variables:t}),signal:n}),{data:a,errors:o}=await i.json();if(o?.length)throw new Error(o[0].message);return a}function D(e,t){let n={timeZone:e,year:"numeric",month:"2-digit",day:"2-digit"},i=new Date(`${new Intl.DateTimeFormat("en-CA",n).format(new Date)}T00:00:00Z`);return i.setUTCDate(i.getUTCDate()+t),i.toISOString().slice(0,10)}function E(e){return new Intl.DateTimeFormat(void 0,{timeZone:e,timeZoneName:"long"}).formatToParts(new Date).find(({type:n})=>n==="timeZoneName").value}function c(e,t,...n){let i=Object.assign(document.createElement(e),t);return i.append(...n),i}function x(e,t,n){e.replaceChildren(...t.map(i=>c("option",{value:i.id,textContent:n(i)}))),e.disabled=t.length===0}function r(e,t){A.textContent=e,p.dataset.state=t,p.setAttribute("aria-busy",String(t==="loading")),h.hidden=t==="loading",h.textContent=t==="error"?"Try again":"Look again"}function L(e){return(e.slots??[]).map(t=>({...t,by:e.name}))}function N(e,t,n){let a=new Date(`${e}T00:00:00Z`).toLocaleDateString(void 0,{timeZone:"UTC",weekday:"long",day:"numeric",month:"long"}),o={timeZone:n,hour:"numeric",minute:"2-digit"},s=t.map(({startsAt:l,by:f})=>c("li",{},c("time",{dateTime:l,textContent:new Date(l).toLocaleTimeString(void 0,o)}),c("span",{textContent:f})));return c("section",{},c("h3",{textContent:a}),c("ul",{},...s))}function O(e,t){let n=j(e);u.replaceChildren(...[...n].map(([o,s])=>N(o,s,t.timeZone)));let i=`Times are on the clinic's clock: ${E(t.timeZone)} (${t.timeZone}).`,a=new Date().toLocaleTimeString();r(`The next ${e.length} open ${e.length===1?"time":"times"}, as of ${a}. ${i}`,"ready")}function j(e){let t=new Map;for(let n of e)t.set(n.localDate,[...t.get(n.localDate)??[],n]);return t}async function T(){y.abort(),y=new AbortController;let{signal:e}=y,t=m.find(({id:o})=>o===g.value);if(!d.value)return u.replaceChildren(),r("This clinic offers no visits at the moment. Choose another one.","empty");r("Looking for open times …","loading");let[n,i]=[D(t.timeZone,0),D(t.timeZone,b-1)],a={clinicId:t.id,visitTypeId:d.value,from:n,to:i};try{let{node:o}=await $(v,a,e),s=(o?.providers.edges??[]).flatMap(l=>L(l.node));return s.sort((l,f)=>Date.parse(l.startsAt)-Date.parse(f.startsAt)),s.length>0?O(s.slice(0,q),t):(u.replaceChildren(),r(`Nothing is open in the next ${b} days. Try another kind of visit or another clinic.`,"empty"))}catch(o){return e.aborted?void 0:(u.replaceChildren(),r(`The times could not be read: ${o.message}`,"error"))}}function I(){let e=m.find(({id:i})=>i===g.value),t=({name:i,durationMinutes:a})=>a?`${i}, ${a} minutes`:i,n=d.selectedOptions[0]?.textContent;x(d,e.visitTypes,t);for(let i of d.options)i.textContent===n&&(i.selected=!0);return T()}async function k(){r("Reading the clinics …","loading");try{let e=(await $(w,{})).clinics;return m=e.edges.map(({node:t})=>t),m.length===0?r("There are no clinics yet. `appointments demo` makes some up.","empty"):(x(g,m,({name:t,address:n})=>[t,n.city,n.region].filter(Boolean).join(", ")),p.querySelector(".more").hidden=!e.pageInfo.hasNextPage,await I())}catch(e){return r(`The clinics could not be read: ${e.message}`,"error")}}C.addEventListener("submit",e=>e.preventDefault());g.addEventListener("change",I);d.addEventListener("change",T);h.addEventListener("click",()=>m.length>0?T():k());p.hidden=!1;k();
