import"./chunk.S47QW7L4.js";var v=`query HomeClinics {
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
`;var w=`query HomeOpenTimes($clinicId: ID!, $visitTypeId: ID!, $from: Date!, $to: Date!) {
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
`;var x=14,Z=12,p=document.getElementById("demo"),[k,j,g]=["form","[role=status]",".times"].map(e=>p.querySelector(e)),{clinic:f,visitType:l}=k.elements,y=p.querySelector(".again"),m=[],h=new AbortController;async function D(e,t,n){let i=await fetch("/graphql",{method:"POST",credentials:"omit",headers:{accept:"application/graphql-response+json","content-type":"application/json"},body:JSON.stringify({query:e,variables:t}),signal:n}),{data:a,errors:o}=await i.json();if(o?.length)throw new Error(o[0].message);return a}function T(e,t){let n={timeZone:e,year:"numeric",month:"2-digit",day:"2-digit"},i=new Date(`${new Intl.DateTimeFormat("en-CA",n).format(new Date)}T00:00:00Z`);return i.setUTCDate(i.getUTCDate()+t),i.toISOString().slice(0,10)}function z(e){return new Intl.DateTimeFormat(void 0,{timeZone:e,timeZoneName:"long"}).formatToParts(new Date).find(({type:n})=>n==="timeZoneName").value}function d(e,t,...n){let i=Object.assign(document.createElement(e),t);return i.append(...n),i}function C(e,t,n){e.replaceChildren(...t.map(i=>d("option",{value:i.id,textContent:n(i)}))),e.disabled=t.length===0}function r(e,t){j.textContent=e,p.dataset.state=t,p.setAttribute("aria-busy",String(t==="loading")),y.hidden=t==="loading",y.textContent=t==="error"?"Try again":"Look again"}function A(e){return(e.slots??[]).map(t=>({...t,by:e.name}))}function E(e,t,n){let a=new Date(`${e}T00:00:00Z`).toLocaleDateString(void 0,{timeZone:"UTC",weekday:"long",day:"numeric",month:"long"}),o={timeZone:n,hour:"numeric",minute:"2-digit"},s=t.map(({startsAt:c,by:u})=>d("li",{},d("time",{dateTime:c,textContent:new Date(c).toLocaleTimeString(void 0,o)}),d("span",{textContent:u})));return d("section",{},d("h3",{textContent:a}),d("ul",{},...s))}function L(e,t){let n=N(e);g.replaceChildren(...[...n].map(([o,s])=>E(o,s,t.timeZone)));let i=`Times are on the clinic's clock: ${z(t.timeZone)} (${t.timeZone}).`,a=new Date().toLocaleTimeString();r(`The next ${e.length} open ${e.length===1?"time":"times"}, as of ${a}. ${i}`,"ready")}function N(e){let t=new Map;for(let n of e)t.set(n.localDate,[...t.get(n.localDate)??[],n]);return t}async function b(){h.abort(),h=new AbortController;let{signal:e}=h,t=m.find(({id:o})=>o===f.value);if(!l.value)return g.replaceChildren(),r("This clinic offers no visits at the moment. Choose another one.","empty");r("Looking for open times …","loading");let[n,i]=[T(t.timeZone,0),T(t.timeZone,x-1)],a={clinicId:t.id,visitTypeId:l.value,from:n,to:i};try{let{node:o}=await D(w,a,e),s=(o?.providers.edges??[]).flatMap(c=>A(c.node));return s.sort((c,u)=>Date.parse(c.startsAt)-Date.parse(u.startsAt)),s.length>0?L(s.slice(0,Z),t):(g.replaceChildren(),r(`Nothing is open in the next ${x} days. Try another kind of visit or another clinic.`,"empty"))}catch(o){return e.aborted?void 0:(g.replaceChildren(),r(`The times could not be read: ${o.message}`,"error"))}}function $(){let e=m.find(({id:i})=>i===f.value),t=({name:i,durationMinutes:a})=>a?`${i}, ${a} minutes`:i,n=l.selectedOptions[0]?.textContent;C(l,e.visitTypes,t);for(let i of l.options)i.textContent===n&&(i.selected=!0);return b()}async function I(){r("Reading the clinics …","loading");try{let e=(await D(v,{})).clinics;return m=e.edges.map(({node:t})=>t),m.length===0?r("There are no clinics yet. `appointments demo` makes some up.","empty"):(C(f,m,({name:t,address:n})=>[t,n.city,n.region].filter(Boolean).join(", ")),p.querySelector(".more").hidden=!e.pageInfo.hasNextPage,await $())}catch(e){return r(`The clinics could not be read: ${e.message}`,"error")}}k.addEventListener("submit",e=>e.preventDefault());f.addEventListener("change",$);l.addEventListener("change",b);y.addEventListener("click",()=>m.length>0?b():I());p.hidden=!1;I();
