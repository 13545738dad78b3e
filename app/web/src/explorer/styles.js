// GraphiQL's own stylesheets without its web fonts (half a megabyte); ours gives the system's fonts instead.
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-explorer/style.css";
import "graphiql/graphiql.css";
import "./style.css";
